import type { FastifyRequest } from 'fastify'
import { test, type Test } from 'tap'
import type { AppParts, EngineOptions, LogicAppsEngine, TriggerHandle } from '../../../src/testing/index.ts'
import { createEngine } from '../../helpers/engine.ts'

const hook = (more: object = {}): never => ({
  type: 'HttpWebhook',
  inputs: {
    subscribe: { method: 'POST', uri: '/hooks', body: { callbackUrl: '@{listCallbackUrl()}' } },
    unsubscribe: { method: 'POST', uri: '/hooks/unsubscribe', body: { callbackUrl: '@{listCallbackUrl()}' } }
  },
  ...more
}) as never

interface Hooked {
  engine: LogicAppsEngine
  handle: TriggerHandle
  /** What the API was called for, in order. */
  calls: string[]
  send: (url: string, body?: string) => Promise<number>
}

async function hooked (t: Test, options: Omit<EngineOptions, 'app'> = {}, more: object = {}, onRun?: () => Promise<void>): Promise<Hooked> {
  const calls: string[] = []
  let parts!: AppParts
  const called = (name: string) => ({ body }: FastifyRequest) => {
    calls.push(`${name} ${/versions\/(\d+)/.exec((body as { callbackUrl: string }).callbackUrl)![1]!}`)
    return ''
  }
  const engine = await createEngine(t, (given) => {
    parts = given
    return { 'POST /hooks': called('subscribe'), 'POST /hooks/unsubscribe': called('unsubscribe') }
  }, options)
  const handle = engine.trigger(hook(more), { name: 'On_order', ...(onRun && { onRun }) })
  await handle.enable()
  return {
    engine,
    handle,
    calls,
    async send (url, body = '{"orderId":"1"}') {
      const { origin } = new URL(url)
      const answer = await parts.callbacks.dispatcher.request({ origin, path: url.slice(origin.length), method: 'POST', headers: { 'content-type': 'application/json' }, body })
      await answer.body.dump()
      return answer.statusCode
    }
  }
}
const versions = (calls: string[]): string[] => {
  const seen = [...new Set(calls.map((call) => call.split(' ')[1]!))]
  return calls.map((call) => `${call.split(' ')[0]} v${seen.indexOf(call.split(' ')[1]!) + 1}`)
}

test('each callback starts a run, answered 202 (engine 2.17, 2.22)', async (t) => {
  const { handle, engine, send } = await hooked(t)
  t.match(handle.callbackUrl, /^https:\/\/prod-00\.westeurope\.logic\.azure\.com\/workflows\/[0-9a-f]{32}\/triggers\/On_order\/versions\/\d{20}\/run\?api-version=2016-06-01&sp=%2Ftriggers%2FOn_order%2Fversions%2F\d{20}%2Frun%2C/)
  t.equal(await send(handle.callbackUrl!), 202)
  t.equal(await send(handle.callbackUrl!, '{"orderId":"2"}'), 202)
  t.same(handle.runs.map(({ body }) => body), [{ orderId: '1' }, { orderId: '2' }])
  t.match(handle.history, [{ status: 'Succeeded', runs: 1 }, { status: 'Succeeded', runs: 1 }])
  await t.rejects(engine.expectQuiet(), /On_order is still subscribed/)
  await handle.disable()
  await engine.expectQuiet()
})

test('splitOn fans an array out (engine 2.22)', async (t) => {
  const { handle, send } = await hooked(t, {}, { splitOn: '@triggerBody()' })
  t.equal(await send(handle.callbackUrl!, '[1,2]'), 202)
  t.same(handle.runs.map(({ body }) => body), [1, 2])
  t.equal(await send(handle.callbackUrl!, '{}'), 400)
})

test('a disabled trigger answers 400 WorkflowTriggerIsNotEnabled, a removed one 404 (engine 2.18)', async (t) => {
  const { handle, send, calls, engine } = await hooked(t)
  await handle.disable()
  t.equal(await send(handle.callbackUrl!), 400)
  t.same(versions(calls), ['subscribe v1', 'unsubscribe v1'])
  await handle.enable()
  t.equal(await send(handle.callbackUrl!), 202)
  await handle.remove()
  t.equal(await send(handle.callbackUrl!), 404)
  t.equal(handle.runs.length, 1)
  await t.rejects(engine.expectQuiet(), /a POST to On_order was refused with 400[^]*refused with 404/)
})

test('a save yields a new URL, and the calls come in either order (engine 2.9, rule 15)', async (t) => {
  for (const [save, order] of [['subscribe-first', ['subscribe v1', 'subscribe v2', 'unsubscribe v1']], ['unsubscribe-first', ['subscribe v1', 'unsubscribe v1', 'subscribe v2']]] as const) {
    const { handle, calls, send } = await hooked(t, { quirks: { save } })
    const old = handle.callbackUrl!
    await handle.save()
    t.not(handle.callbackUrl, old)
    t.same(versions(calls), order)
    t.equal(await send(old), 404)
    t.equal(await send(handle.callbackUrl!), 202)
  }
})

test('a restart registers again with the URL there is (engine 13, issue 7)', async (t) => {
  const { handle, calls, send } = await hooked(t, { profile: 'standard' })
  const url = handle.callbackUrl!
  await handle.restart()
  t.equal(handle.callbackUrl, url)
  t.same(versions(calls), ['subscribe v1', 'subscribe v1'])
  t.equal(await send(url), 202)
})

test('a trigger unsubscribes after a callback where one page says so (engine 2.4)', async (t) => {
  for (const [triggerUnsubscribesAfterCallback, expected] of [['no', ['subscribe v1']], ['yes', ['subscribe v1', 'unsubscribe v1', 'subscribe v1']]] as const) {
    const { handle, calls, send, engine } = await hooked(t, { unknowns: { triggerUnsubscribesAfterCallback } })
    t.equal(await send(handle.callbackUrl!), 202)
    await engine.advance(0)
    t.same(versions(calls), expected)
    t.equal(await send(handle.callbackUrl!), 202)
  }
})

test('the client tracking id at unsubscribe is that of subscribe, or another (engine 2.5, 15.6)', async (t) => {
  for (const clientTrackingIdAtUnsubscribe of ['same', 'new'] as const) {
    const { handle } = await hooked(t, { unknowns: { clientTrackingIdAtUnsubscribe } })
    await handle.disable()
    const [subscribe, unsubscribe] = handle.exchanges.map(({ request }) => request.headers['x-ms-client-tracking-id'])
    t.equal(subscribe === unsubscribe, clientTrackingIdAtUnsubscribe === 'same')
  }
})

test('a refused subscribe call is the test\'s to know: the workflow cannot be saved (engine 2.6)', async (t) => {
  const engine = await createEngine(t, { 'POST /hooks': (_, reply) => reply.code(403).send() })
  const handle = engine.trigger(hook(), { name: 'On_order' })
  await t.rejects(handle.enable(), { message: 'On_order cannot be enabled: subscribe failed with Forbidden: The API answered 403.' })
  t.notOk(handle.isEnabled)
  await engine.expectQuiet()
})

test('with concurrency on, callbacks are answered 429 while too many runs wait (engine 2.18, 3.15)', async (t) => {
  let end!: () => void
  const { engine, handle, send } = await hooked(t, {}, { runtimeConfiguration: { concurrency: { runs: 1, maximumWaitingRuns: 1 } } }, () => new Promise((resolve) => { end = resolve }))
  t.same([await send(handle.callbackUrl!), await send(handle.callbackUrl!), await send(handle.callbackUrl!)], [202, 202, 429])
  end()
  await engine.advance(0)
  t.equal(await send(handle.callbackUrl!), 202)
  t.equal(handle.runs.length, 3)
})

test('the first subscribe call may come twice (engine 6.7)', async (t) => {
  const { calls } = await hooked(t, { quirks: { firstRequest: 'again' } })
  t.same(versions(calls), ['subscribe v1', 'subscribe v1'])
})

test('a saved trigger stays what it is', async (t) => {
  const { handle } = await hooked(t)
  await t.rejects(handle.save({ type: 'Http', inputs: { uri: '/x' }, recurrence: { frequency: 'Day', interval: 1 } }), /a webhook trigger cannot be saved as "Http"/)
})
