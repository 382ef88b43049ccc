/* The workflow JSON that calls each operation. How it plays is tested with the simulated engine. */
import { Type } from 'typebox'
import { test, type Test } from 'tap'
import { createBundle, notificationUrl, type OperationPatterns, type SwaggerDocument, type SwaggerOperation, type SwaggerResponse, type SwaggerSchema, type SwaggerSecurityDefinition } from '../../src/connector/index.ts'
import type { FastifyInstance } from 'fastify'
import { describeOnly, type DescribedConnector } from '../../src/describing.ts'
import { createEngine } from '../helpers/engine.ts'
import { createApp } from '../helpers/app.ts'

interface Step { type: string, inputs: Record<string, any>, [name: string]: unknown }
interface Definition { triggers: Record<string, Step>, actions: Record<string, Step>, parameters?: Record<string, { type: string, defaultValue?: unknown }> }

function definitionOf (document: SwaggerDocument, name: string, patterns: OperationPatterns = {}): Definition {
  const file = createBundle(document, { patterns }).find(({ path }) => path === `workflows/${name}.json`)
  if (file === undefined) throw new Error(`there is no workflow ${name}`)
  return (JSON.parse(file.content as string) as { definition: Definition }).definition
}

const documentWith = (path: string, method: string, operation: SwaggerOperation, rest: Partial<SwaggerDocument> = {}): SwaggerDocument => ({
  swagger: '2.0', info: { title: 'Bakery', version: '1' }, host: 'api.example', basePath: '/v1', schemes: ['https'], paths: { [path]: { [method]: { operationId: 'Do', summary: 'Do it', responses: { 200: { description: 'OK' } }, ...operation } } }, ...rest
})
const stepOf = (document: SwaggerDocument, form = 'http'): Step => {
  const { actions, triggers } = definitionOf(document, `Do.${form}`)
  return actions.Do_it ?? triggers.Do_it!
}

/** The bundle of an app, with what its decorators know. */
async function bundleOf (t: Test, add: (app: FastifyInstance) => void): Promise<(name: string) => Definition> {
  const connectors: DescribedConnector[] = []
  const end = describeOnly((connector) => { connectors.push(connector) })
  const { app } = await createApp(t).finally(end)
  add(app)
  await app.ready()
  const { document, patterns } = connectors[0]!('https://api.example/v1')
  return (name) => definitionOf(document, name, patterns)
}

test('inputs in every place: what is required and what has a default is said, the rest is left to the author', (t) => {
  const step = stepOf(documentWith('/a@b/{id}/{open}', 'put', {
    parameters: [
      { name: 'id', in: 'path', required: true, type: 'string' },
      { name: 'open', in: 'path', required: true, type: 'boolean' },
      { name: 'count', in: 'query', required: true, type: 'integer' },
      { name: 'lang uage', in: 'query', type: 'string', default: "it's" },
      { name: 'optional', in: 'query', type: 'string' },
      { name: 'version', in: 'query', required: true, type: 'string', default: 'v2', 'x-ms-visibility': 'internal' },
      { name: 'hidden', in: 'query', type: 'string', default: 'x', 'x-ms-visibility': 'internal' },
      { name: 'x-tag', in: 'header', required: true, type: 'string' },
      {
        name: 'body',
        in: 'body',
        required: true,
        schema: {
          type: 'object',
          required: ['id', 'mode', 'mail', 'made', 'flags'],
          properties: {
            id: { type: 'integer' },
            mode: { type: 'string', default: '@x @{y}', 'x-ms-visibility': 'internal' },
            mail: { type: 'string', default: '@home' },
            made: { type: 'string', readOnly: true },
            flags: { type: 'object', default: { a: true } },
            note: { type: 'string' }
          }
        }
      }
    ]
  }))
  t.same(step, {
    type: 'Http',
    inputs: {
      method: 'PUT',
      uri: "https://api.example/v1/a%40b/@{encodeURIComponent(triggerBody()?['id'])}/@{encodeURIComponent(toLower(string(triggerBody()?['open'])))}" +
        "?count=@{encodeURIComponent(string(triggerBody()?['count']))}&lang%20uage=@{encodeURIComponent(coalesce(triggerBody()?['lang uage'], 'it''s'))}&version=@{encodeURIComponent('v2')}",
      headers: { 'x-tag': "@triggerBody()?['x-tag']" },
      body: {
        id: "@triggerBody()?['body_id']",
        mode: '@@x @{y}',
        mail: "@coalesce(triggerBody()?['mail'], '@home')",
        flags: "@coalesce(triggerBody()?['flags'], json('{\"a\":true}'))"
      }
    },
    runAfter: {}
  })
  t.end()
})

test('a parameter of the path may have any name that Fastify lets it have', (t) => {
  for (const name of ['id::eat', 'user$id', 'naïve', 'id@x']) {
    const step = stepOf(documentWith(`/a@b/{${name}}/{open@x}`, 'get', { parameters: [{ name, in: 'path', required: true, type: 'string' }] }))
    t.equal(step.inputs.uri, `https://api.example/v1/a%40b/@{encodeURIComponent(triggerBody()?['${name}'])}/{open%40x}`)
  }
  t.end()
})

test('the request that starts the workflow asks for all inputs of authors, without references', (t) => {
  const { triggers } = definitionOf(documentWith('/x', 'post', {
    parameters: [{ name: 'q', in: 'query', required: true, type: 'string', 'x-ms-summary': 'Query' }, { name: 'body', in: 'body', required: true, schema: { $ref: '#/definitions/Node' } }]
  }, { definitions: { Node: { type: 'object', required: ['value'], properties: { value: { type: 'string', 'x-ms-visibility': 'important' }, next: { $ref: '#/definitions/Node' }, list: { type: 'array', items: { $ref: '#/definitions/Node' } } } } } }), 'Do.http')
  const node = { type: 'object', properties: { value: { type: 'string' }, next: {}, list: { type: 'array', items: {} } }, required: ['value'] }
  t.same(triggers.manual!.inputs.schema, {
    type: 'object', properties: { q: { type: 'string', title: 'Query' }, value: { type: 'string' }, next: node, list: { type: 'array', items: { ...node, properties: { ...node.properties, list: {} } } } }, required: ['q', 'value']
  })
  t.end()
})

test('bodies that are no objects, and forms', (t) => {
  const body = (schema: SwaggerSchema): SwaggerOperation => ({ parameters: [{ name: 'body', in: 'body', required: true, schema }] })
  t.equal(stepOf(documentWith('/x', 'put', body({ type: 'array', items: { type: 'string' } }))).inputs.body, "@triggerBody()?['body']")
  t.equal(stepOf(documentWith('/x', 'put', body({ type: 'object' }))).inputs.body, "@triggerBody()?['body']")
  const form: SwaggerOperation['parameters'] = [{ name: 'a b', in: 'formData', required: true, type: 'string' }, { name: 'file', in: 'formData', required: true, type: 'file' }]
  t.match(stepOf(documentWith('/x', 'put', { consumes: ['application/x-www-form-urlencoded'], parameters: form.slice(0, 1) })).inputs, { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: "a%20b=@{encodeURIComponent(triggerBody()?['a b'])}" })
  t.match(stepOf(documentWith('/x', 'put', { consumes: ['multipart/form-data'], parameters: form })).inputs.body, {
    '$content-type': 'multipart/form-data', $multipart: [{ headers: { 'Content-Disposition': 'form-data; name="a b"' }, body: "@triggerBody()?['a b']" }, { body: "@triggerBody()?['file']" }]
  })
  t.end()
})

test('lists in a query are written as the document says', (t) => {
  const uriOf = (collectionFormat?: string): string => stepOf(documentWith('/x', 'get', { parameters: [{ name: 'ids', in: 'query', required: true, type: 'array', items: { type: 'string' }, ...(collectionFormat && { collectionFormat }) }] })).inputs.uri as string
  t.match(uriOf(), "?ids=@{encodeURIComponent(join(triggerBody()?['ids'], ','))}")
  t.match(uriOf('pipes'), "?ids=@{encodeURIComponent(join(triggerBody()?['ids'], '|'))}")
  t.match(uriOf('multi'), "?ids=@{replace(encodeURIComponent(join(triggerBody()?['ids'], '\u001f')), '%1F', '&ids=')}")
  t.end()
})

test('lists and a path that is encoded twice run in the engine, in both forms alike', async (t) => {
  const list = (name: string, collectionFormat?: string): object => ({ name, in: 'query', required: true, type: 'array', items: { type: 'string' }, ...(collectionFormat && { collectionFormat }) })
  const document = documentWith('/x/{id}', 'get', {
    parameters: [{ name: 'id', in: 'path', required: true, type: 'string', 'x-ms-url-encoding': 'double' }, list('plain'), list('piped', 'pipes'), list('tags', 'multi')] as never
  })
  const engine = await createEngine(t, { 'GET /v1/*': ({ url }) => ({ url }) })
  for (const [form, path] of [['http', '/v1/x/a%2Fb'], ['api-connection', '/x/a%252Fb']] as const) {
    const workflow = JSON.parse(createBundle(document).find((file) => file.path === `workflows/Do.${form}.json`)!.content as string) as { definition: Definition }
    // The connection knows the address, base path and all; the engine's is that of the app.
    if (form === 'api-connection') workflow.definition.actions.Do_it!.inputs.path = `/v1${workflow.definition.actions.Do_it!.inputs.path as string}`
    const run = await engine.workflow(workflow as never).run({ id: 'a/b', plain: ['1', '2'], piped: ['x', 'y'], tags: ['p&q=1', 'z', 'ü'] })
    t.match(run, { status: 'Succeeded' }, `${form}: ${JSON.stringify(run.error)}`)
    t.match(run.actions.Do_it!.outputs, { body: { url: `${form === 'http' ? '' : '/v1'}${path}?plain=1%2C2&piped=x%7Cy&tags=p%26q%3D1&tags=z&tags=%C3%BC` } }, form)
  }
})

test('retries: as often as the engine likes where a repeat does no harm, never where it may (engine 6.8)', (t) => {
  const policyOf = (method: string, operation: SwaggerOperation = {}): unknown => stepOf(documentWith('/x', method, operation)).inputs.retryPolicy
  for (const method of ['get', 'put', 'delete']) t.equal(policyOf(method), undefined)
  for (const method of ['post', 'patch']) t.same(policyOf(method), { type: 'none' })
  t.equal(policyOf('post', { 'x-ms-safe-operation': true }), undefined)
  t.end()
})

test('the asynchronous pattern is off where a 202 names no Location, else it would wait for ever (engine 1.10)', (t) => {
  const optionsOf = (headers?: NonNullable<SwaggerResponse['headers']>): unknown => stepOf(documentWith('/x', 'post', { responses: { 202: { description: 'Accepted', ...(headers && { headers }) } } })).operationOptions
  t.equal(optionsOf(), 'DisableAsyncPattern')
  t.equal(optionsOf({ location: { type: 'string' } }), undefined)
  t.equal(stepOf(documentWith('/x', 'post', {})).operationOptions, undefined)
  t.end()
})

test('who calls: each kind of authentication, secrets as secure parameters', (t) => {
  const secured = (definition: SwaggerSecurityDefinition): Definition => definitionOf(documentWith('/x', 'get', { parameters: [{ name: 'q', in: 'query', required: true, type: 'string' }] }, { securityDefinitions: { main: definition } }), 'Do.http')
  const key = secured({ type: 'apiKey', in: 'header', name: 'x-api-key' })
  t.same(key.actions.Do_it!.inputs.headers, { 'x-api-key': "@parameters('api_key')" })
  t.same(key.parameters, { api_key: { type: 'SecureString' } })
  t.match(secured({ type: 'apiKey', in: 'query', name: 'the key' }).actions.Do_it!.inputs.uri, /\?q=.*&the%20key=@\{encodeURIComponent\(parameters\('api_key'\)\)\}$/)
  t.same(secured({ type: 'basic' }).actions.Do_it!.inputs.authentication, { type: 'Basic', username: "@parameters('username')", password: "@parameters('password')" })
  const oauth = (authorizationUrl: string): SwaggerSecurityDefinition => ({ type: 'oauth2', flow: 'accessCode', authorizationUrl, tokenUrl: 'https://id.example/token', scopes: { 'api://cakes/Bake': 'Bake' } })
  t.same(secured(oauth('https://login.microsoftonline.com/contoso.com')).actions.Do_it!.inputs.authentication, { type: 'ManagedServiceIdentity', audience: 'api://cakes' })
  t.same(secured(oauth('https://id.example/authorize')).actions.Do_it!.inputs.authentication, { type: 'Raw', value: "Bearer @{parameters('access_token')}" })
  t.equal(secured({ type: 'basic' }).actions.Do_it!.inputs.headers, undefined)
  t.end()
})

test('through a connector the connection knows address and caller', (t) => {
  const document = documentWith('/x/{id}', 'post', {
    parameters: [{ name: 'id', in: 'path', required: true, type: 'string' }, { name: 'q', in: 'query', required: true, type: 'integer' }, { name: 'x-h', in: 'header', required: true, type: 'string' }]
  }, { securityDefinitions: { main: { type: 'basic' } } })
  t.same(stepOf(document, 'api-connection'), {
    type: 'ApiConnection',
    inputs: {
      host: { connection: { name: "@parameters('$connections')['bakery']['connectionId']" } },
      method: 'post',
      path: "/x/@{encodeURIComponent(triggerBody()?['id'])}",
      queries: { q: "@triggerBody()?['q']" },
      headers: { 'x-h': "@triggerBody()?['x-h']" },
      retryPolicy: { type: 'none' }
    },
    runAfter: {}
  })
  const workflow = JSON.parse(createBundle(document).find(({ path }) => path === 'workflows/Do.api-connection.json')!.content as string) as { parameters: { $connections: { value: object } } }
  t.same(Object.keys(workflow.parameters.$connections.value), ['bakery'])
  t.end()
})

test('a polling trigger: recurrence, splitOn over the list wherever it is, parameters of the workflow for its inputs', (t) => {
  const trigger = (schema: SwaggerSchema): Definition => definitionOf(documentWith('/x', 'get', {
    'x-ms-trigger': 'batch',
    parameters: [
      { name: 'least', in: 'query', required: true, type: 'integer', default: 3 }, { name: 'kind', in: 'query', required: true, type: 'string', enum: ['a', 'b'] }, { name: 'shop', in: 'query', required: true, type: 'string' },
      { name: 'triggerState', in: 'query', type: 'string', 'x-ms-visibility': 'internal' }
    ],
    responses: { 200: { description: 'OK', schema } }
  }), 'Do.http')
  const { triggers, actions, parameters } = trigger({ type: 'object', properties: { data: { type: 'object', properties: { 'it\'s': { type: 'array', items: {} } } }, count: { type: 'integer', 'x-ms-visibility': 'internal' } } })
  t.same(actions, {})
  t.same(triggers.Do_it, {
    type: 'Http',
    inputs: { method: 'GET', uri: "https://api.example/v1/x?least=@{encodeURIComponent(string(parameters('least')))}&kind=@{encodeURIComponent(parameters('kind'))}&shop=@{encodeURIComponent(parameters('shop'))}" },
    recurrence: { frequency: 'Minute', interval: 1 },
    splitOn: "@triggerBody()?['data']?['it''s']"
  })
  t.same(parameters, { least: { type: 'Int', defaultValue: 3 }, kind: { type: 'String', defaultValue: 'a' }, shop: { type: 'String' } })
  t.equal(trigger({ type: 'array', items: {} }).triggers.Do_it!.splitOn, '@triggerBody()')
  t.equal(trigger({ type: 'object', properties: { a: { type: 'array', items: {} }, b: { type: 'string' } } }).triggers.Do_it!.splitOn, undefined, 'not resolved by the designer either')
  t.end()
})

test('a webhook of a plain route: the callback URL wherever it stands, no unsubscribe that nobody knows of', async (t) => {
  const schema = Type.Object({ hook: Type.Object({ url: Type.String(notificationUrl()) }), name: Type.String({ title: 'Name' }) })
  const of = await bundleOf(t, (app) => {
    app.post('/hooks', { config: { logicApps: true }, schema: { operationId: 'OnCake', summary: 'When a cake is done', body: schema, 'x-ms-trigger': 'single', 'x-ms-notification-content': { schema: { type: 'object' } } } as object }, () => ({}))
    app.post('/waits', { config: { logicApps: true }, schema: { operationId: 'WaitForCake', summary: 'Wait for a cake', body: schema, 'x-ms-notification-content': { schema: { type: 'object', properties: { error: { type: 'string' } } } } } as object }, () => ({}))
  })
  const { triggers, parameters } = of('OnCake.http-webhook')
  t.same(triggers.When_a_cake_is_done!.inputs, {
    subscribe: { method: 'POST', uri: 'https://api.example/v1/hooks', body: { hook: { url: '@{listCallbackUrl()}' }, name: "@parameters('name')" } },
    unsubscribe: {}
  })
  t.same(parameters, { name: { type: 'String' } })
  const { actions, triggers: { manual } } = of('WaitForCake.http-webhook')
  t.same(Object.keys(actions), ['Wait_for_a_cake', 'Did_it_fail'])
  t.same(Object.keys(manual!.inputs.schema.properties as object), ['name'])
  t.same(actions.Wait_for_a_cake!.limit, { timeout: 'P2D' })
})

test('webhooks that take the URL elsewhere: header, query, whole body; no connector can call them (engine 2.5a, 4.2)', async (t) => {
  const places = { header: { in: 'header', name: 'x-callback' }, query: { in: 'query', name: 'cb' }, body: { in: 'body' }, property: { in: 'property', name: 'reply' } } as const
  const of = await bundleOf(t, (app) => {
    for (const [place, callbackUrl] of Object.entries(places)) {
      const operationId = `Wait${place}`
      app.webhookAction(`/${place}`, { schema: { operationId, summary: operationId, ...(place === 'body' ? {} : { body: Type.Object({ a: Type.String() }) }) }, callbackUrl }, () => ({}))
    }
  })
  const inputsOf = (place: string): Record<string, { uri: string, headers?: object, body?: object }> => of(`Wait${place}.http-webhook`).actions[`Wait${place}`]!.inputs
  t.match(inputsOf('header').subscribe, { headers: { 'x-callback': '@{listCallbackUrl()}' }, body: { a: "@triggerBody()?['a']" } })
  t.equal(inputsOf('query').subscribe!.uri, 'https://api.example/v1/query?cb=@{encodeURIComponent(listCallbackUrl())}')
  t.equal(inputsOf('body').subscribe!.body, '@{listCallbackUrl()}')
  t.match(inputsOf('property').subscribe!.body, { reply: '@{listCallbackUrl()}' })
  t.same(inputsOf('property').unsubscribe!.body, { reply: '@{listCallbackUrl()}' })
  for (const place of ['header', 'query', 'body']) {
    t.equal(inputsOf(place).unsubscribe!.uri, `https://api.example/v1/${place}/unsubscribe`)
    t.equal(inputsOf(place).unsubscribe!.body, '@{listCallbackUrl()}')
    t.throws(() => of(`Wait${place}.api-connection-webhook`), /no workflow/)
    t.ok(of(`Wait${place}.http-webhook`).actions.Did_it_fail, 'a failure is looked at all the same')
  }
  t.ok(of('Waitproperty.api-connection-webhook'))
})

test('what is exported subscribes and unsubscribes, wherever the callback URL stands', async (t) => {
  const places = { header: { in: 'header', name: 'x-callback' }, query: { in: 'query', name: 'cb' }, body: { in: 'body' }, property: { in: 'property', name: 'reply' } } as const
  const add = (app: FastifyInstance): void => {
    for (const [place, callbackUrl] of Object.entries(places)) {
      app.webhookTrigger(`/v1/${place}`, { schema: { operationId: `On${place}`, summary: 'Trigger' }, topic: app.logicApps.topic('orders'), callbackUrl })
    }
  }
  const of = await bundleOf(t, (app) => { app.register(async (scope) => { add(scope) }) })
  const { app } = await createApp(t)
  add(app)
  const url = 'https://prod-01.westeurope.logic.azure.com:443/workflows/0/triggers/T/versions/1/run?sp=%2Ftriggers%2FT&sig=abc'
  /** As the engine sends it: a text as plain text (engine 1.25). */
  const send = async ({ method, uri, headers, body }: { method: 'POST', uri: string, headers?: object, body?: object | string }): Promise<number> => {
    const filled = JSON.parse(JSON.stringify({ headers, body }).replaceAll('@{listCallbackUrl()}', url)) as { headers?: Record<string, string>, body?: object | string }
    const target = uri.replace('@{encodeURIComponent(listCallbackUrl())}', encodeURIComponent(url)).replace('https://api.example/v1', '')
    const { statusCode } = await app.inject({ method, url: target, headers: { ...(typeof filled.body === 'string' ? { 'content-type': 'text/plain; charset=utf-8' } : {}), ...filled.headers }, ...(filled.body === undefined ? {} : { payload: filled.body }) })
    return statusCode
  }
  for (const place of Object.keys(places)) {
    const { subscribe, unsubscribe } = of(`On${place}.http-webhook`).triggers.Trigger!.inputs
    t.equal(await send(subscribe), 201, place)
    t.equal((await app.logicApps.subscriptions.list()).length, 1, place)
    t.equal(await send(unsubscribe), 200, place)
    t.equal((await app.logicApps.subscriptions.list()).length, 0, place)
  }
})

test('a webhook action waits as long as its job may take, and a day for the callback', async (t) => {
  const of = await bundleOf(t, (app) => {
    app.webhookAction('/a', { schema: { operationId: 'Short', summary: 'Short' } }, () => ({}))
    app.webhookAction('/b', { schema: { operationId: 'Deferred', summary: 'Deferred' }, deferTimeoutSeconds: 14 * 86_400 }, (job) => job.defer())
    app.webhookAction('/c', { schema: { operationId: 'Retried', summary: 'Retried' }, timeoutSeconds: 86_400, retries: 2 }, () => ({}))
    app.asyncAction('/d', { schema: { operationId: 'Polled', summary: 'Polled' } }, () => ({}))
  })
  const stepNamed = (form: string, name: string): Step => of(`${name}.${form}`).actions[name]!
  t.same(['Short', 'Deferred', 'Retried'].map((name) => stepNamed('http-webhook', name).limit), [{ timeout: 'P2D' }, { timeout: 'P16D' }, { timeout: 'P4D' }])
  t.same(stepNamed('api-connection-webhook', 'Short').limit, { timeout: 'P2D' })
  t.match(stepNamed('http-webhook', 'Short').inputs.subscribe.retryPolicy, { type: 'exponential', count: 10 })
  t.match(stepNamed('http', 'Polled').inputs.retryPolicy, { type: 'exponential', count: 10 })
  t.equal(stepNamed('http', 'Polled').operationOptions, undefined, 'the asynchronous pattern is on')
})

test('internal operations are called by nobody; a step has a name that expressions can name', (t) => {
  const document = documentWith('/x', 'get', { 'x-ms-visibility': 'internal' })
  t.notOk(createBundle(document).some(({ path }) => path.startsWith('workflows/')))
  t.same(Object.keys(definitionOf(documentWith('/x', 'get', { summary: "  Kuchen (für 'alle') backen! " }), 'Do.http').actions), ['Kuchen_für_alle_backen'])
  t.same(Object.keys(definitionOf(documentWith('/x', 'get', { summary: '!' }), 'Do.http').actions), ['Do'])
  t.equal(Object.keys(definitionOf(documentWith('/x', 'get', { summary: 'a'.repeat(200) }), 'Do.http').actions)[0]!.length, 80)
  t.end()
})
