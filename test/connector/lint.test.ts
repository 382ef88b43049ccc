/* Each rule of the lint, on the smallest document that breaks it. */
import { test } from 'tap'
import { describeFinding, lintDocument, lintRules, type SwaggerDocument } from '../../src/connector/index.ts'
import { checkDocument } from '../helpers/swagger.ts'

/** Documents that break rules fit no type. */
type Loose = any

/** Nothing is wrong with it. */
function cleanDocument (): SwaggerDocument & Loose {
  return {
    swagger: '2.0',
    info: { title: 'Contoso Bakery', description: 'Orders cakes, and tells of orders that are placed.', version: '1.0.0', contact: { email: 'hello@contoso.com' } },
    host: 'cakes.contoso.com',
    basePath: '/',
    schemes: ['https'],
    consumes: ['application/json'],
    paths: {
      '/flavours': {
        get: {
          operationId: 'ListFlavours',
          summary: 'List flavours',
          description: 'Lists flavours.',
          parameters: [{ name: 'shop', in: 'query', type: 'string', 'x-ms-summary': 'Shop', required: true }],
          responses: { 200: { description: 'OK', schema: { type: 'object', properties: { value: { type: 'array', items: { type: 'object', properties: { id: { type: 'string', title: 'Id' }, name: { type: 'string', title: 'Name' } } } } } } } }
        }
      },
      '/cakes/{shop}': {
        post: {
          operationId: 'BakeCake',
          summary: 'Bake a cake',
          description: 'Bakes a cake.',
          parameters: [
            { name: 'shop', in: 'path', required: true, type: 'string', 'x-ms-summary': 'Shop', 'x-ms-url-encoding': 'single' },
            {
              name: 'body',
              in: 'body',
              required: true,
              schema: {
                type: 'object',
                properties: {
                  flavour: {
                    type: 'string',
                    title: 'Flavour',
                    'x-ms-dynamic-values': { operationId: 'ListFlavours', parameters: { shop: { parameter: 'shop' } }, 'value-collection': 'value', 'value-path': 'id', 'value-title': 'name' },
                    'x-ms-dynamic-list': { operationId: 'ListFlavours', parameters: { shop: { parameterReference: 'shop' } }, itemsPath: 'value', itemValuePath: 'id', itemTitlePath: 'name' }
                  },
                  size: { type: 'string', title: 'Size', enum: ['s', 'l'], 'x-ms-enum-values': [{ value: 's', displayName: 'Small' }, { value: 'l', displayName: 'Large' }] }
                },
                required: ['flavour']
              }
            }
          ],
          responses: { 200: { description: 'OK', schema: { type: 'object', properties: { id: { type: 'string' } } }, headers: { ETag: { type: 'string', 'x-ms-summary': 'ETag' } } }, 202: { description: 'Accepted' } }
        }
      },
      '/hooks': {
        'x-ms-notification-content': { schema: { type: 'object', properties: { id: { type: 'string' } } } },
        post: {
          operationId: 'OnOrder',
          summary: 'When an order is placed',
          description: 'Fires for each order.',
          'x-ms-trigger': 'single',
          parameters: [{ name: 'body', in: 'body', required: true, schema: { type: 'object', properties: { url: { type: 'string', 'x-ms-notification-url': true, 'x-ms-visibility': 'internal' } }, required: ['url'] } }],
          responses: { 201: { description: 'Created' } }
        }
      },
      '/poll': {
        get: {
          operationId: 'PollOrders',
          summary: 'When orders are placed',
          description: 'Fires for new orders.',
          'x-ms-trigger': 'batch',
          'x-ms-notification': { operationId: 'OnOrder' },
          parameters: [],
          responses: { 200: { description: 'OK', schema: { type: 'object', properties: { value: { type: 'array', items: { type: 'object' } }, next: { type: 'string', 'x-ms-visibility': 'internal' } } } } }
        }
      }
    },
    'x-ms-capabilities': { testConnection: { operationId: 'ListFlavours', parameters: { shop: 'north' } } },
    'x-ms-connector-metadata': [{ propertyName: 'Website', propertyValue: 'https://x' }, { propertyName: 'Privacy policy', propertyValue: 'https://x' }, { propertyName: 'Categories', propertyValue: 'Commerce' }]
  }
}

const bake = (document: Loose): Loose => document.paths['/cakes/{shop}'].post
const body = (document: Loose): Loose => bake(document).parameters[1]
const properties = (document: Loose): Loose => body(document).schema.properties
const list = (document: Loose): Loose => document.paths['/flavours'].get
const hook = (document: Loose): Loose => document.paths['/hooks']
const hookBody = (document: Loose): Loose => hook(document).post.parameters[0].schema
const poll = (document: Loose): Loose => document.paths['/poll'].get
const many = (count: number): Loose => Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, { type: 'string', title: 'P' }]))

/** By rule: what breaks it. */
const faults: Record<string, ((document: Loose) => void)[]> = {
  'swagger-2': [(d) => { delete d.swagger; d.openapi = '3.0.0' }],
  'operation-id-missing': [(d) => { delete bake(d).operationId }],
  'operation-id-duplicate': [(d) => { poll(d).operationId = 'BakeCake' }],
  'operation-id-form': [(d) => { bake(d).operationId = 'bake-cake' }],
  'operation-summary': [(d) => { delete bake(d).summary }, (d) => { bake(d).summary = 'x'.repeat(81) }, (d) => { bake(d).summary = 'Bake/fry' }, (d) => { bake(d).summary = 'Bake.' }],
  'operation-description': [(d) => { delete bake(d).description }, (d) => { bake(d).description = bake(d).summary }, (d) => { bake(d).description = 'Bakes' }],
  'responses-missing': [(d) => { delete bake(d).responses }, (d) => { bake(d).responses = { 400: { description: 'no' } } }],
  'output-missing': [(d) => { delete bake(d).responses[200] }],
  'output-of-default': [(d) => { bake(d).responses.default = { description: 'x', schema: {} } }],
  'output-ambiguous': [(d) => { bake(d).responses[202].schema = { type: 'object' } }],
  'output-file': [(d) => { bake(d).responses[200].schema = { type: 'file' } }],
  'header-label': [(d) => { delete bake(d).responses[200].headers.ETag['x-ms-summary'] }],
  'path-item-key': [(d) => { hook(d)['x-my-headers'] = 1 }],
  'path-ambiguous': [(d) => { d.paths['/Cakes/{id}'] = {} }],
  schemes: [(d) => { d.schemes = ['http'] }, (d) => { d.schemes = ['http', 'https'] }],
  'media-types': [(d) => { d.consumes = ['application/xml'] }, (d) => { bake(d).consumes = ['image/png'] }],
  'security-undefined': [(d) => { d.security = [{ key: [] }] }, (d) => { bake(d).security = [{ key: [] }] }],
  'trigger-kind': [(d) => { poll(d)['x-ms-trigger'] = 'polling' }],
  'notification-content-place': [(d) => { hook(d).post['x-ms-notification-content'] = { schema: {} } }],
  'notification-content-missing': [(d) => { delete hook(d)['x-ms-notification-content'] }, (d) => { delete hook(d)['x-ms-notification-content'].schema }],
  'notification-url-missing': [(d) => { delete hookBody(d).properties.url['x-ms-notification-url'] }, (d) => { hookBody(d).properties.other = { ...hookBody(d).properties.url } }],
  'webhook-path-shared': [(d) => { hook(d).delete = { operationId: 'Unhook', responses: { 204: { description: '' } } } }],
  'notification-url-shape': [(d) => { hookBody(d).required = [] }, (d) => { hookBody(d).properties.url.type = 'object' }, (d) => { delete hookBody(d).properties.url['x-ms-visibility'] },
    (d) => { hook(d).post.parameters[0].schema = { type: 'object', properties: { in: hookBody(d) } } }],
  'notification-url-hidden': [(d) => { hook(d).post.parameters[0].schema = { type: 'object', properties: { in: { ...hookBody(d), 'x-ms-visibility': 'internal' } }, required: ['in'] } }],
  'notification-url-place': [(d) => { bake(d).parameters[0]['x-ms-notification-url'] = true }],
  'batch-shape': [(d) => { delete poll(d).responses[200].schema.properties.next['x-ms-visibility'] }, (d) => { poll(d).responses[200].schema = { type: 'object', properties: { a: { type: 'string' } } } }, (d) => { delete poll(d).responses[200].schema }],
  'notification-pair': [(d) => { poll(d)['x-ms-notification'].operationId = 'BakeCake' }, (d) => { hook(d).post['x-ms-notification'] = { operationId: 'OnOrder' } }],
  'path-parameter-missing': [(d) => { bake(d).parameters.shift() }, (d) => { list(d).parameters.push({ name: 'x', in: 'path', required: true, type: 'string', 'x-ms-url-encoding': 'single', 'x-ms-summary': 'X' }) }],
  'path-parameter-required': [(d) => { bake(d).parameters[0].required = false }],
  'path-parameter-encoding': [(d) => { delete bake(d).parameters[0]['x-ms-url-encoding'] }],
  'path-wildcard': [(d) => { d.paths['/files/*'] = { get: list(d) } }],
  'parameter-connection-id': [(d) => { list(d).parameters.push({ name: 'connectionId', in: 'query', type: 'string', 'x-ms-summary': 'C' }) }],
  'parameters-missing': [(d) => { d.paths['/poll'].parameters = [{ name: 'q', in: 'query', type: 'string', 'x-ms-summary': 'Q' }]; delete poll(d).parameters }],
  'parameter-duplicate': [(d) => { list(d).parameters.push(list(d).parameters[0]) }, (d) => { bake(d).parameters.push({ name: 'f', in: 'formData', type: 'string', 'x-ms-summary': 'F' }) }],
  'parameter-type': [(d) => { delete list(d).parameters[0].type }, (d) => { list(d).parameters[0].type = 'object' }],
  'parameter-label': [(d) => { delete list(d).parameters[0]['x-ms-summary'] }, (d) => { delete properties(d).size.title }],
  'object-title': [(d) => { body(d).schema.title = 'Order' }],
  'internal-required': [(d) => { properties(d).flavour['x-ms-visibility'] = 'internal' }, (d) => { list(d).parameters[0]['x-ms-visibility'] = 'internal' }],
  'internal-optional': [(d) => { properties(d).size = { type: 'string', title: 'S', default: 's', 'x-ms-visibility': 'internal' } }, (d) => { list(d).parameters.push({ name: 'api', in: 'query', type: 'string', default: '2', 'x-ms-visibility': 'internal' }) }],
  'body-required': [(d) => { body(d).required = false }],
  'body-of-get': [(d) => { poll(d).parameters.push({ name: 'body', in: 'body', schema: { type: 'string' } }) }],
  'default-type': [(d) => { properties(d).size.default = 4 }],
  'form-field-name': [(d) => { bake(d).parameters[1] = { name: 'a@b', in: 'formData', type: 'string', 'x-ms-summary': 'A' } }],
  reference: [(d) => { properties(d).size = { $ref: '#/definitions/Nobody' } }, (d) => { properties(d).size = { $ref: 'other.json' } }],
  'reference-siblings': [(d) => { d.definitions = { Size: { type: 'string', title: 'S' } }; properties(d).size = { $ref: '#/definitions/Size', title: 'Size' } }],
  'reference-cycle': [(d) => { d.definitions = { Node: { type: 'object', properties: { next: { $ref: '#/definitions/Node' } } } } }],
  'schema-keywords': [(d) => { properties(d).size = { title: 'S', anyOf: [{ type: 'string' }] } }],
  'schema-type': [(d) => { properties(d).size.type = ['string', 'null'] }],
  'array-items': [(d) => { properties(d).size = { type: 'array', title: 'S' } }],
  'required-names': [(d) => { body(d).schema.required.push('nobody') }, (d) => { properties(d).size = { type: 'string', title: 'S', required: ['a'] } }, (d) => { body(d).schema.required = [] }],
  'required-read-only': [(d) => { properties(d).flavour.readOnly = true }],
  'enum-type': [(d) => { properties(d).size.enum.push(4) }],
  'enum-values': [(d) => { properties(d).size['x-ms-enum-values'].push({ value: 'x', displayName: 'X' }) }, (d) => { properties(d).size['x-ms-enum-values'].push({ value: 's', displayName: 'S' }) }, (d) => { delete properties(d).size['x-ms-enum-values'][0].displayName }],
  'exclusive-bound': [(d) => { properties(d).size = { type: 'number', title: 'S', exclusiveMinimum: 0 } }],
  'binary-place': [(d) => { properties(d).size = { type: 'string', title: 'S', format: 'binary' } }],
  'dynamic-operation': [(d) => { properties(d).flavour['x-ms-dynamic-values'].operationId = 'Nobody' }, (d) => { delete properties(d).flavour['x-ms-dynamic-list'].operationId }],
  'dynamic-parameter': [
    (d) => { properties(d).flavour['x-ms-dynamic-values'].parameters = {} },
    (d) => { properties(d).flavour['x-ms-dynamic-list'].parameters.shop = { parameterReference: 'body/nobody' } },
    (d) => { properties(d).flavour['x-ms-dynamic-list'].parameters.more = { value: 1 } }
  ],
  'dynamic-internal-parameter': [(d) => { properties(d).size['x-ms-visibility'] = 'internal'; properties(d).flavour['x-ms-dynamic-list'].parameters.shop = { parameterReference: 'body/size' } }],
  'dynamic-output': [
    (d) => { properties(d).flavour['x-ms-dynamic-values']['value-collection'] = 'nobody' },
    (d) => { properties(d).flavour['x-ms-dynamic-values']['value-path'] = 'nobody' },
    (d) => { properties(d).flavour['x-ms-dynamic-list'].itemTitlePath = 'name/deeper' },
    (d) => { delete properties(d).flavour['x-ms-dynamic-list'].itemsPath },
    (d) => { delete list(d).responses[200].schema },
    (d) => { properties(d).flavour['x-ms-dynamic-values']['value-description'] = 'nobody' },
    (d) => { properties(d).flavour['x-ms-dynamic-values']['value-selectable'] = 'nobody' },
    (d) => { properties(d).flavour['x-ms-dynamic-tree'] = { open: { ...properties(d).flavour['x-ms-dynamic-list'], itemIsParent: 'nobody' } } },
    (d) => { properties(d).flavour['x-ms-dynamic-tree'] = { browse: { ...properties(d).flavour['x-ms-dynamic-list'], itemFullTitlePath: 'nobody' } } },
    (d) => { properties(d).form = { type: 'object', 'x-ms-dynamic-schema': { operationId: 'PollOrders', parameters: {}, 'value-path': 'value/nobody' } } },
    (d) => { properties(d).form = { type: 'object', 'x-ms-dynamic-properties': { operationId: 'PollOrders', parameters: {}, itemValuePath: 'nobody' } } }
  ],
  'dynamic-both-forms': [(d) => { delete properties(d).flavour['x-ms-dynamic-values'] }, (d) => { properties(d).size = { type: 'object', title: 'S', 'x-ms-dynamic-schema': { operationId: 'PollOrders' } } }, (d) => { properties(d).size = { type: 'object', title: 'S', 'x-ms-dynamic-properties': { operationId: 'PollOrders' } } }],
  'dynamic-schema-place': [(d) => { body(d)['x-ms-dynamic-schema'] = { operationId: 'PollOrders' } }],
  'test-connection': [(d) => { d['x-ms-capabilities'].testConnection.operationId = 'Nobody' }, (d) => { d['x-ms-capabilities'].testConnection.operationId = 'OnOrder' }, (d) => { d['x-ms-capabilities'].testConnection.parameters = {} }],
  'file-picker': [(d) => { properties(d).size = { type: 'string', title: 'S', 'x-ms-dynamic-values': { capability: 'file-picker', 'value-path': 'id' } } }, (d) => { d['x-ms-capabilities']['file-picker'] = { open: { operationId: 'Nobody' } } }],
  size: [(d) => { bake(d).description = `${'x'.repeat(1_048_576)}.` }],
  'operation-count': [(d) => { for (let index = 0; index < 257; index++) d.paths[`/p${index}`] = { get: { ...poll(d), operationId: `P${index}` } } }],
  'schema-count': [(d) => { Object.assign(properties(d), many(513)) }, (d) => { bake(d).parameters.push(...Array.from({ length: 16_385 }, (_, index) => ({ name: `q${index}`, in: 'query', type: 'string', 'x-ms-summary': 'Q' }))) }],
  'info-title': [(d) => { d.info.title = 'Bakery API' }, (d) => { d.info.title = '' }, (d) => { d.info.title = 'x'.repeat(31) }],
  'info-description': [(d) => { delete d.info.description }, (d) => { d.info.description = 'Cakes.' }],
  'info-contact': [(d) => { d.info.contact.email = 'nobody' }],
  host: [(d) => { d.host = 'https://cakes.contoso.com/' }, (d) => { d.basePath = 'api' }],
  visibility: [(d) => { properties(d).size['x-ms-visibility'] = 'Internal' }, (d) => { bake(d)['x-ms-visibility'] = 'hidden' }],
  pageable: [(d) => { list(d)['x-ms-pageable'] = { nextLinkName: 'next' } }],
  revision: [(d) => { bake(d)['x-ms-api-annotation'] = { family: 'B', revision: 2 } }, (d) => { bake(d)['x-ms-api-annotation'] = poll(d)['x-ms-api-annotation'] = { family: 'B', revision: 1 } }, (d) => { bake(d)['x-ms-api-annotation'] = { family: 'B', revision: 1, replacement: { api: 'x' } } }],
  'connector-metadata': [(d) => { d['x-ms-connector-metadata'].pop() }, (d) => { d['x-ms-connector-metadata'][2].propertyValue = 'a;b;c' }]
}

test('a document without faults has none, and is valid', async (t) => {
  await checkDocument(t, cleanDocument())
  t.same(lintDocument(cleanDocument()).map(describeFinding), [])
})

test('there is a case for each rule, and the names of rules are unique', async (t) => {
  t.same(Object.keys(faults).sort(), lintRules.map(({ id }) => id).sort())
  for (const { id, source, asks, mend } of lintRules) {
    t.match(source, /^openapi [0-6]/, `${id} says where it is from`)
    t.match(asks, /\.$/, `${id} says what it asks for`)
    t.notMatch(mend, /\.$/, `${id} has a mend to follow a colon`)
  }
})

for (const { id, severity, source } of lintRules) {
  test(`${id} (${source})`, async (t) => {
    for (const fault of faults[id]!) {
      const document = cleanDocument()
      fault(document)
      const found = lintDocument(document).find(({ rule }) => rule === id)
      t.match(found, { rule: id, severity, source, message: /./ }, fault.toString())
      if (found !== undefined) t.match(describeFinding(found), `(${id})`)
    }
  })
}

/** `ListFlavours` takes its shop from what the reference says. */
const takeShopFrom = (document: Loose, name: string): void => {
  properties(document).flavour['x-ms-dynamic-values'].parameters.shop = { parameter: name }
  properties(document).flavour['x-ms-dynamic-list'].parameters.shop = { parameterReference: `body/${name}` }
}

test('a definition that a body uses twice is met at both places', async (t) => {
  const document = cleanDocument()
  document.definitions = { Address: { type: 'object', properties: { city: { type: 'string', title: 'City' } } } }
  Object.assign(properties(document), { billing: { $ref: '#/definitions/Address' }, shipping: { $ref: '#/definitions/Address' } })
  takeShopFrom(document, 'shipping/city')
  t.same(lintDocument(document).map(describeFinding), [])
  document.definitions.Address.properties.city['x-ms-visibility'] = 'hidden'
  t.same(lintDocument(document).map(({ path }) => path.replace(/.*parameters\./, '')), ['body.billing.city', 'body.shipping.city'])
})

test('definitions that use each other in many ways are walked in a moment, and near inputs are found all the same', async (t) => {
  const document = cleanDocument()
  const names = Array.from({ length: 12 }, (_, index) => `D${index}`)
  const all = (): Loose => Object.fromEntries(names.map((name) => [name, { $ref: `#/definitions/${name}` }]))
  document.definitions = Object.fromEntries(names.map((name) => [name, { type: 'object', properties: { ...all(), city: { type: 'string', title: 'City' } } }]))
  Object.assign(properties(document), all())
  takeShopFrom(document, 'D11/city')
  t.same(lintDocument(document).filter(({ rule }) => rule !== 'reference-cycle').map(describeFinding), [])
})

test('dynamic paths into what an output leaves open are not judged', async (t) => {
  const outputs: Loose[] = [
    undefined, {}, { type: 'object' }, { type: 'object', additionalProperties: true }, { type: 'object', properties: {} },
    { type: 'object', properties: { form: { type: 'object', additionalProperties: {} } } },
    { type: 'object', properties: { form: { type: 'object', properties: { other: { type: 'string' } }, additionalProperties: true } } },
    { type: 'object', properties: { form: { type: 'object', properties: { schema: { type: 'object' } } } } }
  ]
  for (const schema of outputs) {
    const document = cleanDocument()
    document.paths['/form'] = { get: { ...poll(document), operationId: 'GetForm', 'x-ms-trigger': undefined, 'x-ms-notification': undefined, responses: { 200: { description: 'OK', ...(schema === undefined ? {} : { schema }) } } } }
    properties(document).form = { type: 'object', title: 'Form', 'x-ms-dynamic-schema': { operationId: 'GetForm', parameters: {}, 'value-path': 'form/schema/properties' }, 'x-ms-dynamic-properties': { operationId: 'GetForm', parameters: {}, itemValuePath: 'form/schema' } }
    t.notOk(lintDocument(document).find(({ rule }) => rule.startsWith('dynamic')), JSON.stringify(schema))
  }
  const items: Loose[] = [undefined, {}, { type: 'object', properties: { id: { type: 'string' } }, additionalProperties: true }]
  for (const item of items) {
    const document = cleanDocument()
    list(document).responses[200].schema.properties.value = { type: 'array', ...(item === undefined ? {} : { items: item }) }
    properties(document).flavour['x-ms-dynamic-tree'] = { open: { ...properties(document).flavour['x-ms-dynamic-list'], itemIsParent: 'IsFolder eq true' } }
    t.notOk(lintDocument(document).find(({ rule }) => rule.startsWith('dynamic')), JSON.stringify(item))
  }
})

test('a parameter of an operation stands in for that of its path', async (t) => {
  const document = cleanDocument()
  document.paths['/cakes/{shop}'].parameters = [{ name: 'shop', in: 'path', required: true, type: 'integer' }, { name: 'shop', in: 'header', type: 'string', 'x-ms-summary': 'Shop' }]
  t.same(lintDocument(document).map(describeFinding), [])
  document.paths['/cakes/{shop}'].parameters.push({ name: 'shop', in: 'header', type: 'string', 'x-ms-summary': 'Shop' })
  t.same(lintDocument(document).map(({ rule }) => rule), ['parameter-duplicate'])
})

test('dynamic parameters name properties of a body whatever its name is', async (t) => {
  const document = cleanDocument()
  const { flavour } = properties(document)
  body(document).name = 'request'
  properties(document).place = { type: 'object', properties: { shop: { type: 'string', title: 'Shop' } } }
  flavour['x-ms-dynamic-values'].parameters.shop = { parameter: 'place/shop' }
  flavour['x-ms-dynamic-list'].parameters.shop = { parameterReference: 'request/place/shop' }
  t.same(lintDocument(document).map(describeFinding), [])

  // The list is of a POST, whose own body has another name.
  document.paths['/flavours'] = { post: { ...list(document), parameters: [{ name: 'search', in: 'body', required: true, schema: { type: 'object', properties: { shop: { type: 'string', title: 'Shop' } }, required: ['shop'] } }] } }
  delete document['x-ms-capabilities']
  flavour['x-ms-dynamic-list'].parameters = { 'search/shop': flavour['x-ms-dynamic-list'].parameters.shop }
  t.same(lintDocument(document).map(describeFinding), [])
  properties(document).place['x-ms-visibility'] = 'internal'
  t.same(lintDocument(document).map(({ rule }) => rule), ['dynamic-internal-parameter', 'dynamic-internal-parameter'])
})

test('any JSON can be linted', async (t) => {
  for (const strange of [null, 4, 'x', [], {}, { swagger: '2.0', paths: 4 }, { swagger: '2.0', paths: { '/x': null, '/y': { get: null, post: 4 }, '/z': { get: { parameters: {}, responses: [], operationId: 4 } } } }, { swagger: '2.0', paths: { '/x': { get: { parameters: [null, 4, { name: 4 }, {}], responses: { 200: null } } } } }]) {
    t.ok(lintDocument(strange).length > 0, JSON.stringify(strange))
  }
})

test('whatever is wrong with a part of a document, the lint says what it can', async (t) => {
  const places: string[][] = []
  const collect = (value: unknown, path: string[]): void => {
    places.push(path)
    if (typeof value === 'object' && value !== null) for (const [key, below] of Object.entries(value)) collect(below, [...path, key])
  }
  const clean = cleanDocument()
  collect(clean, [])
  for (const path of places.slice(1)) {
    for (const strange of [null, true, 4, 'x', [null], { x: null }]) {
      const document = cleanDocument()
      path.slice(0, -1).reduce<Loose>((at, key) => at[key], document)[path.at(-1)!] = strange
      try {
        lintDocument(document)
      } catch (error) {
        t.fail(`${path.join('.')} = ${JSON.stringify(strange)}`, { error })
      }
    }
  }
})

test('errors come first', async (t) => {
  const document = cleanDocument()
  delete bake(document).summary
  delete poll(document).responses
  const severities = lintDocument(document).map(({ severity }) => severity)
  t.same(severities, [...severities].sort())
  t.ok(new Set(severities).size === 2)
})
