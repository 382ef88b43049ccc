/* What of a new document breaks flows that were made with the old one: a case for each kind of change, and none where nothing breaks. */
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { changeKinds, describeChange, diffDocuments, type SwaggerDocument, type SwaggerOperation, type SwaggerSchema } from '../../src/connector/index.ts'

const cake: SwaggerSchema = { type: 'object', required: ['id', 'size'], properties: { id: { type: 'string' }, size: { type: 'number' }, at: { type: 'string', format: 'date-time' }, tags: { type: 'array', items: { type: 'string' } } } }
const order: SwaggerSchema = { type: 'object', required: ['flavour'], properties: { flavour: { type: 'string', enum: ['lemon', 'carrot'] }, note: { type: 'string', maxLength: 100 }, count: { type: 'integer', default: 1 }, made: { type: 'string', readOnly: true }, deep: { type: 'object', properties: { a: { type: 'string' } } } } }

const base: SwaggerDocument = {
  swagger: '2.0',
  info: { title: 'Bakery', version: '1' },
  host: 'api.example',
  basePath: '/',
  schemes: ['https'],
  consumes: ['application/json', 'text/plain'],
  securityDefinitions: { key: { type: 'apiKey', in: 'header', name: 'x-key', description: 'A key.' } },
  definitions: { Cake: cake },
  paths: {
    '/cakes/{shop}': {
      post: {
        operationId: 'BakeCake',
        parameters: [
          { name: 'shop', in: 'path', required: true, type: 'string' },
          { name: 'lang', in: 'query', type: 'string' },
          { name: 'ids', in: 'query', type: 'array', items: { type: 'string' } },
          { name: 'X-Tag', in: 'header', type: 'string' },
          { name: 'body', in: 'body', required: true, schema: order }
        ],
        responses: { 200: { description: 'OK', schema: { $ref: '#/definitions/Cake' }, headers: { ETag: { type: 'string' } } } }
      }
    },
    '/hooks': {
      post: { operationId: 'OnOrder', 'x-ms-trigger': 'single', parameters: [{ name: 'body', in: 'body', required: true, schema: { type: 'object', required: ['callbackUrl'], properties: { callbackUrl: { type: 'string', 'x-ms-notification-url': true, 'x-ms-visibility': 'internal' } } } }], responses: { 201: { description: 'Created' } } },
      'x-ms-notification-content': { schema: { type: 'object', properties: { orderId: { type: 'string' } } } }
    },
    '/poll': { get: { operationId: 'PollOrders', 'x-ms-trigger': 'batch', parameters: [], responses: { 200: { description: 'OK', schema: { type: 'array', items: { $ref: '#/definitions/Cake' } } } } } },
    '/internal': { get: { operationId: 'Status', 'x-ms-visibility': 'internal', parameters: [], responses: { 200: { description: 'OK', schema: cake } } } }
  }
}

interface Parts { document: SwaggerDocument, bake: SwaggerOperation, order: SwaggerSchema, cake: SwaggerSchema }

function changed (change: (parts: Parts) => void): SwaggerDocument {
  const document = structuredClone(base)
  const bake = document.paths['/cakes/{shop}']!.post!
  change({ document, bake, order: bake.parameters!.at(-1)!.schema!, cake: document.definitions!.Cake! })
  return document
}

const parameter = ({ bake }: Parts, name: string) => bake.parameters!.find((one) => one.name === name)!
const drop = (parts: Parts, name: string): void => { parts.bake.parameters = parts.bake.parameters!.filter((one) => one.name !== name) }

/** Each with the one line that it makes, but for its severity. */
const cases: [title: string, change: (parts: Parts) => void, ...lines: RegExp[]][] = [
  ['nothing', () => {}],
  ['texts, labels and what only authors see', ({ document, bake, order }) => {
    bake.summary = 'Bake'
    order.properties!.note!.title = 'Note'
    order.properties!.note!['x-ms-visibility'] = 'advanced'
    document.securityDefinitions!.key!.description = 'Another text.'
    document.info.version = '2'
    document.paths['/internal']!.get!.operationId = 'GetStatus'
  }],

  ['an operation is gone', ({ document }) => { delete document.paths['/poll'] }, /^PollOrders paths\.\/poll\.get: is gone \(operation-removed\)$/],
  ['an operation is renamed', ({ bake }) => { bake.operationId = 'Bake' }, /BakeCake .*: is called Bake now \(operation-removed\)/, /^Bake .*\(operation-added\)/],
  ['an operation is hidden', ({ bake }) => { bake['x-ms-visibility'] = 'internal' }, /\(operation-hidden\)/],
  ['an operation has another path', ({ document }) => { document.paths['/polls'] = document.paths['/poll']!; delete document.paths['/poll'] }, /PollOrders paths\.\/polls\.get: was GET \/poll and is GET \/polls \(operation-moved\)/],
  ['a batch becomes single', ({ document }) => { document.paths['/poll']!.get!['x-ms-trigger'] = 'single' }, /was a polling trigger of lists and is a polling trigger of single items \(operation-kind\)/],
  ['a trigger becomes an action', ({ document }) => { delete document.paths['/poll']!.get!['x-ms-trigger'] }, /of lists and is an action \(operation-kind\)/],
  ['a webhook is polled', ({ document }) => { delete document.paths['/hooks']!['x-ms-notification-content'] }, /was a webhook trigger of single items and is a polling trigger/, /OnOrder .*output: is gone \(output-removed\)/],
  ['an operation is deprecated', ({ bake }) => { bake.deprecated = true }, /\(operation-deprecated\)/],
  ['a new operation', ({ document }) => { document.paths['/new'] = { get: { operationId: 'New', responses: {} } } }, /^New paths\.\/new\.get: is new \(operation-added\)/],
  ['the address', ({ document }) => { document.host = 'other.example' }, /^host: was https:\/\/api\.example\/ and is https:\/\/other\.example\/ \(address-changed\)/],

  ['a parameter is gone', (parts) => { drop(parts, 'lang') }, /parameters\.lang: is gone \(input-removed\)/],
  ['a parameter moves to another place', (parts) => { parameter(parts, 'lang').in = 'header' }, /lang: was in the query and is in the header \(input-removed\)/, /lang: is new \(input-added\)/],
  ['headers have no case', (parts) => { parameter(parts, 'X-Tag').name = 'x-tag' }],
  ['a parameter is required', (parts) => { parameter(parts, 'lang').required = true }, /lang: was optional and is required \(input-required\)/],
  ['a parameter is required no more', (parts) => { parameter(parts, 'shop').required = false }],
  ['a new parameter', ({ bake }) => { bake.parameters!.unshift({ name: 'new', in: 'query', type: 'string' }) }, /new: is new \(input-added\)/],
  ['a new required parameter', ({ bake }) => { bake.parameters!.unshift({ name: 'new', in: 'query', required: true, type: 'string' }) }, /new: is new, and required \(input-required\)/],
  ['a list is written in another way', (parts) => { parameter(parts, 'ids').collectionFormat = 'multi' }, /ids: was a list written as csv and is one as multi \(input-type\)/],
  ['the body is gone', (parts) => { drop(parts, 'body') }, /body: is gone \(input-removed\)/],
  ['a body comes where there was none', ({ document }) => { document.paths['/poll']!.get!.parameters = [{ name: 'body', in: 'body', schema: order }] }, /body: is new, and flavour in it required \(input-required\)/],
  ['a body of options comes', ({ document }) => { document.paths['/poll']!.get!.parameters = [{ name: 'body', in: 'body', schema: { type: 'object', properties: { a: {} } } }] }, /body: is new \(input-added\)/],
  ['the parts of the body swap their order', ({ order }) => { order.properties = Object.fromEntries(Object.entries(order.properties!).toReversed()) }],
  ['a property is renamed', ({ order }) => { order.properties!.text = order.properties!.note!; delete order.properties!.note }, /body\.note: is gone \(input-removed\)/, /body\.text: is new \(input-added\)/],
  ['a property far down is gone', ({ order }) => { order.properties!.deep!.properties = { b: { type: 'string' } } }, /body\.deep\.a: is gone/, /body\.deep\.b: is new/],
  ['an object takes anything now', ({ order }) => { delete order.properties!.deep!.properties }],
  ['what the API alone fills in is no input', ({ order }) => { delete order.properties!.made }],
  ['a property is required', ({ order }) => { order.required!.push('note') }, /body\.note: was optional and is required/],
  ['a new required property', ({ order }) => { order.properties!.size = { type: 'string' }; order.required!.push('size') }, /body\.size: is new, and required/],
  ['another type', ({ order }) => { order.properties!.note!.type = 'integer' }, /body\.note: was string and is integer \(input-type\)/],
  ['another format', ({ order }) => { order.properties!.note!.format = 'date' }, /body\.note: was string and is string \(date\) \(input-type\)/],
  ['a wider number', ({ order }) => { order.properties!.count!.type = 'number' }],
  ['any type', ({ order }) => { delete order.properties!.note!.type }],
  ['a value less', ({ order }) => { order.properties!.flavour!.enum = ['lemon'] }, /body\.flavour: does not take "carrot" any more \(input-narrowed\)/],
  ['a value more', ({ order }) => { order.properties!.flavour!.enum!.push('vanilla') }],
  ['values where any went', ({ order }) => { order.properties!.note!.enum = ['a'] }, /body\.note: took any value and takes "a" \(input-narrowed\)/],
  ['any value', ({ order }) => { delete order.properties!.flavour!.enum }],
  ['a shorter text', ({ order }) => { order.properties!.note!.maxLength = 50 }, /has maxLength 50, and had 100 \(input-narrowed\)/],
  ['a longer text', ({ order }) => { order.properties!.note!.maxLength = 200 }],
  ['a least', ({ order }) => { order.properties!.count!.minimum = 1 }, /has minimum 1, and had none \(input-narrowed\)/],
  ['a least length of nothing', ({ order }) => { order.properties!.note!.minLength = 0 }],
  ['a pattern', ({ order }) => { order.properties!.note!.pattern = '^a' }, /has the pattern \^a, and had none \(input-narrowed\)/],
  ['another default', ({ order }) => { order.properties!.count!.default = 2 }, /had the default 1 and has 2 \(input-default\)/],
  ['a hidden property', ({ order }) => { order.properties!.deep!.properties!.a!['x-ms-visibility'] = 'internal' }, /body\.deep\.a: is internal now \(input-hidden\)/],
  ['a hidden parameter', (parts) => { parameter(parts, 'lang')['x-ms-visibility'] = 'internal' }, /parameters\.lang: is internal now \(input-hidden\)/],
  ['a hidden body', (parts) => { parameter(parts, 'body')['x-ms-visibility'] = 'internal' }, /body: is internal now \(input-hidden\)/],
  ['a value once in a list', (parts) => { Object.assign(parameter(parts, 'ids'), { uniqueItems: true }) }, /ids: does not take a value twice any more \(input-narrowed\)/],
  ['a part of the path is encoded as before', (parts) => { parameter(parts, 'shop')['x-ms-url-encoding'] = 'single' }],
  ['a part of the path is encoded twice', (parts) => { parameter(parts, 'shop')['x-ms-url-encoding'] = 'double' }, /shop: was encoded single and is encoded double \(input-type\)/],
  ['an object of named properties takes no others', ({ order }) => { order.properties!.deep!.additionalProperties = false }],
  ['a content type less', ({ document }) => { document.consumes = ['application/json'] }, /BakeCake .*: does not take text\/plain any more \(consumes-removed\)/, /OnOrder .*\(consumes-removed\)/],

  ['an output is gone, wherever it is used', ({ cake }) => { delete cake.properties!.at }, /BakeCake .*output\.at: is gone \(output-removed\)/, /PollOrders .*output\[\]\.at: is gone/],
  ['a new output', ({ cake }) => { cake.properties!.cost = { type: 'number' } }, /BakeCake .*output\.cost: is new \(output-added\)/, /PollOrders .*output\[\]\.cost: is new/],
  ['another type of an output', ({ bake }) => { bake.responses!['200']!.schema = { type: 'array', items: cake } }, /output: was object and is array \(output-type\)/],
  ['another format of an output', ({ cake }) => { cake.properties!.at!.format = 'date' }, /was string \(date-time\) and is string \(date\) \(output-type\)/, /PollOrders .*\(output-type\)/],
  ['a whole number of an output', ({ cake }) => { cake.properties!.size!.type = 'integer' }],
  ['an output that may be missing', ({ cake }) => { cake.required = ['id'] }, /output\.size: may be missing \(output-optional\)/, /PollOrders .*\[\]\.size: may be missing/],
  ['an output that may be null', ({ cake }) => { cake.properties!.id!['x-nullable'] = true }, /output\.id: may be null \(output-optional\)/, /PollOrders .*\[\]\.id: may be null/],
  ['a hidden output', ({ cake }) => { cake.properties!.at!['x-ms-visibility'] = 'internal' }, /output\.at: is gone/, /PollOrders .*\[\]\.at: is gone/],
  ['all outputs are gone', ({ bake }) => { delete bake.responses!['200']!.schema }, /output: is gone \(output-removed\)/],
  ['a header is gone', ({ bake }) => { delete bake.responses!['200']!.headers }, /headers\.ETag: is gone \(output-removed\)/],
  ['another callback', ({ document }) => { (document.paths['/hooks']!['x-ms-notification-content'] as { schema: SwaggerSchema }).schema.properties = { id: { type: 'string' } } }, /x-ms-notification-content\.orderId: is gone \(output-removed\)/, /x-ms-notification-content\.id: is new/],
  ['a definition is written out', ({ bake }) => { bake.responses!['200']!.schema = structuredClone(cake) }],

  ['another key', ({ document }) => { document.securityDefinitions!.key!.name = 'x-other' }, /^securityDefinitions\.key: is another \(security-changed\)/],
  ['a new way to sign in', ({ document }) => { document.securityDefinitions!.user = { type: 'basic' } }, /securityDefinitions\.user: is new \(security-changed\)/],
  ['no key any more', ({ document }) => { delete document.securityDefinitions }, /securityDefinitions\.key: is gone \(security-changed\)/],
  ['an operation has security of its own', ({ bake }) => { bake.security = [] }, /BakeCake .*security: is another \(security-changed\)/]
]

const both = (first: (parts: Parts) => void, second: (parts: Parts) => void) => (parts: Parts): void => { first(parts); second(parts) }
const free = (rest: SwaggerSchema = {}) => ({ order }: Parts): void => { order.properties!.free = { type: 'object', ...rest } }
const content = ({ document }: Parts): { headers?: object } => document.paths['/hooks']!['x-ms-notification-content']!
const withKey = ({ document }: Parts): void => { document.security = [{ key: [] }] }

/** As `cases`, from a document that was changed before. */
const more: [title: string, first: (parts: Parts) => void, second: (parts: Parts) => void, ...lines: RegExp[]][] = [
  ['the least itself is not taken', ({ order }) => { order.properties!.count!.minimum = 1 }, ({ order }) => { order.properties!.count!.exclusiveMinimum = true }, /count: does not take its minimum 1 any more \(input-narrowed\)/],
  ['the most itself is not taken', ({ order }) => { order.properties!.count!.maximum = 9 }, ({ order }) => { order.properties!.count!.exclusiveMaximum = true }, /count: does not take its maximum 9 any more \(input-narrowed\)/],
  ['a lower bound that is not taken itself', ({ order }) => { order.properties!.count!.minimum = 1 }, ({ order }) => { Object.assign(order.properties!.count!, { minimum: 0, exclusiveMinimum: true }) }],
  ['the body must be sent', (parts) => { parameter(parts, 'body').required = false }, (parts) => { parameter(parts, 'body').required = true }, /body: was optional and is required \(input-required\)/],
  ['a body that is sent anyway is required', (parts) => { delete parameter(parts, 'body').required }, (parts) => { parameter(parts, 'body').required = true }],
  ['any object is closed', free(), free({ additionalProperties: false }), /free: does not take properties of any name any more \(input-narrowed\)/],
  ['an object of texts is closed', free({ additionalProperties: { type: 'string' } }), free({ properties: { a: { type: 'string' } }, additionalProperties: false }), /free: does not take properties of any name/, /free\.a: is new \(input-added\)/],
  ['headers of a callback are gone', (parts) => { content(parts).headers = { 'X-A': { type: 'string' } } }, (parts) => { delete content(parts).headers }, /OnOrder .*headers\.X-A: is gone \(output-removed\)/],
  ['the document has security', () => {}, withKey, /^security: is another \(security-changed\)/],
  ['another security of the document', withKey, ({ document }) => { document.security = [{ user: [] }] }, /^security: is another \(security-changed\)/],
  ['an operation repeats the security of the document', withKey, ({ bake }) => { bake.security = [{ key: [] }] }]
]

const pairs = [
  ...cases.map(([title, change, ...lines]) => ({ title, before: base, after: changed(change), lines })),
  ...more.map(([title, first, second, ...lines]) => ({ title, before: changed(first), after: changed(both(first, second)), lines }))
]
for (const { title, before, after, lines } of pairs) {
  test(title, (t) => {
    const changes = diffDocuments(before, after)
    t.equal(changes.length, lines.length, changes.map(describeChange).join('\n'))
    for (const line of lines) t.ok(changes.some((one) => line.test(describeChange(one))), `${String(line)} of\n${changes.map(describeChange).join('\n')}`)
    for (const { severity, kind } of changes) t.equal(severity, changeKinds[kind].severity)
    t.end()
  })
}

test('every kind of change has a case', (t) => {
  const met = new Set(cases.flatMap(([, change]) => diffDocuments(base, changed(change)).map(({ kind }) => kind)))
  t.same([...met].toSorted(), Object.keys(changeKinds).toSorted())
  t.end()
})

test('what breaks comes first', (t) => {
  const severities = diffDocuments(base, changed(({ bake, document }) => {
    document.host = 'other.example'
    bake.parameters!.unshift({ name: 'new', in: 'query', type: 'string' })
    delete document.paths['/poll']
  })).map(({ severity }) => severity)
  t.same(severities, ['breaking', 'compatible', 'compatible'])
  t.end()
})

test('schemas that hold themselves are compared once', (t) => {
  const cyclic = (name: string): SwaggerDocument => changed(({ document, bake }) => {
    const node: SwaggerSchema = { type: 'object', properties: { [name]: { type: 'string' }, next: { $ref: '#/definitions/Node' }, all: { type: 'array', items: { $ref: '#/definitions/Node' } } } }
    document.definitions!.Node = node
    bake.parameters!.at(-1)!.schema = { $ref: '#/definitions/Node' }
    bake.responses!['200']!.schema = { $ref: '#/definitions/Node' }
  })
  t.same(diffDocuments(cyclic('a'), cyclic('a')), [])
  t.same(diffDocuments(cyclic('a'), cyclic('b')).map(describeChange).toSorted(), [
    /body\.a/, /body\.b/, /output\.a/, /output\.b/
  ].map((pattern) => diffDocuments(cyclic('a'), cyclic('b')).map(describeChange).find((line) => pattern.test(line))).toSorted())
  t.end()
})

test('documents of any kind are compared without a fault: what is not as it should be is as if it were not there', (t) => {
  for (const odd of [null, 42, [], {}, { paths: null }, { paths: { '/x': { get: { operationId: 'X', parameters: 'none', responses: null } } } }]) {
    t.doesNotThrow(() => diffDocuments(odd, base))
    t.doesNotThrow(() => diffDocuments(base, odd))
  }
  t.same(diffDocuments(base, {}).filter(({ kind }) => kind === 'operation-removed').length, 3)
  t.end()
})

test('the bakery as it is published breaks nothing of itself', (t) => {
  const published: unknown = JSON.parse(readFileSync(new URL('../../examples/bakery/connector/apiDefinition.swagger.json', import.meta.url), 'utf8'))
  t.same(diffDocuments(published, structuredClone(published)), [])
  t.end()
})
