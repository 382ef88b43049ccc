import { test } from 'tap'
import type { AsyncActionOptions } from '../../src/index.ts'
import { createApp } from '../helpers/app.ts'
import { addCakes, bake, order } from '../helpers/cakes.ts'

test('an operation must have an operationId', async (t) => {
  const { app } = await createApp(t)
  for (const options of [undefined, null, {}, { schema: {} }, { schema: { operationId: '' } }, { schema: { operationId: 7 } }]) {
    t.throws(() => app.asyncAction('/cakes', options as never, bake), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /^\/cakes: schema.operationId is missing/ })
  }
})

test('an operation must have a handler', async (t) => {
  const { app } = await createApp(t)
  for (const handler of [undefined, {}, 'bake']) {
    t.throws(() => app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, handler as never),
      { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /^BakeCake \(\/cakes\): the handler is missing/ })
  }
})

test('one error names the operation and all its invalid options', async (t) => {
  const { app } = await createApp(t)
  const wrong = {
    retryAfterSeconds: 0,
    waitSeconds: 101,
    timeoutSeconds: 0,
    deferTimeoutSeconds: -1,
    failureStatusCode: 404,
    concurrency: 1.5,
    retries: -1,
    retryBackoffSeconds: '2',
    context: {},
    monitorHooks: { onRequst: () => {} }
  }
  const faultsOf = (options: object): string[] => {
    try {
      addCakes(app, options)
      return []
    } catch (error) {
      t.match(error, { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /^BakeCake \(\/cakes\): / })
      return [...(error as Error).message.matchAll(/[:;] (\w+) must /g)].map(([, name]) => name!)
    }
  }
  t.same(faultsOf(wrong).toSorted(), Object.keys(wrong).toSorted())
  for (const [name, value] of Object.entries(wrong)) t.same(faultsOf({ [name]: value }), [name])
})

test('an operation that was refused leaves nothing behind: it can be declared again, right', async (t) => {
  const { app } = await createApp(t)
  t.throws(() => addCakes(app, { retryAfterSeconds: 0 }))
  addCakes(app)
  t.equal((await order(app)).statusCode, 202)
})

test('undefined is as good as no option', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, { retryAfterSeconds: undefined, waitSeconds: undefined, failureStatusCode: undefined, context: undefined, contextSchema: undefined, monitorHooks: undefined })
  t.equal((await order(app)).headers['retry-after'], '5')
})

test('options of the host are not changed', async (t) => {
  const { app } = await createApp(t)
  const options: AsyncActionOptions<{ operationId: 'BakeCake' }, unknown, undefined> = Object.freeze({
    schema: Object.freeze({ operationId: 'BakeCake' }),
    config: Object.freeze({ mine: true }) as object,
    onRequest: Object.freeze([async () => {}]) as never,
    monitorHooks: Object.freeze({ onRequest: Object.freeze([async () => {}]) as never })
  })
  app.asyncAction('/cakes', options, bake)
  t.equal((await order(app)).statusCode, 202)
  t.same(Object.keys(options.config!), ['mine'])
})

test('the app is given back, for the next declaration', async (t) => {
  const { app } = await createApp(t)
  t.equal(app.asyncAction('/one', { schema: { operationId: 'One' } }, bake).asyncAction('/two', { schema: { operationId: 'Two' } }, bake), app)
})

test('two operations of one name are refused, with both places', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  t.throws(() => addCakes(app, {}, '/pies'), {
    code: 'FST_LOGIC_APPS_DUPLICATE_OPERATION',
    message: 'operationId "BakeCake" is used by POST /cakes and by POST /pies: give each operation its own'
  })
})

test('response schemas of the host stand beside ours, and do not change what is answered', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, {
    schema: { operationId: 'BakeCake', response: { 202: { type: 'object', properties: { nothing: { type: 'string' } } }, '4xx': { type: 'object', properties: { nothing: { type: 'string' } } } } }
  })
  t.match((await order(app)).json(), { status: 'NotStarted', id: String })
})
