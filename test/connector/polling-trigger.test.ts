/* The record that a polling trigger gives of itself, without the decorator. */
import { test } from 'tap'
import { buildDocument } from '../../src/connector/document/document.ts'
import { lintDocument } from '../../src/connector/lint/lint.ts'
import type { OperationDescription } from '../../src/connector/operation.ts'
import { checkDocument, operationOf } from '../helpers/swagger.ts'

const item = { type: 'object', properties: { orderId: { type: 'string', title: 'Order' } }, required: ['orderId'] }

async function build (description: OperationDescription) {
  const built = await buildDocument({
    routes: [{
      operationId: 'PollOrders',
      role: 'poll',
      method: 'GET',
      url: '/triggers/orders',
      schema: { operationId: 'PollOrders', querystring: { type: 'object', properties: { triggerState: { type: 'string', 'x-ms-visibility': 'internal' } } } },
      shared: () => ({})
    }],
    descriptions: new Map([['PollOrders', description]]),
    toJsonSchema: (schema) => schema,
    info: { title: 'T', version: '1' },
    securityDefinitions: undefined,
    security: undefined,
    tags: undefined,
    extensions: {}
  })
  return built.document
}

test('batch: the list is the one property, so that splitOn resolves (openapi 0.5)', async (t) => {
  const document = await build({ kind: 'pollingTrigger', mode: 'batch', item })
  await checkDocument(t, document)
  const operation = operationOf(document, 'PollOrders')
  t.equal(operation['x-ms-trigger'], 'batch')
  t.same(operation.responses!['200']!.schema, { type: 'object', properties: { value: { type: 'array', items: item } }, required: ['value'] })
  t.same(Object.keys(operation.responses!['202']!.headers!), ['Location', 'Retry-After'])
  t.match(operation.parameters, [{ name: 'triggerState', 'x-ms-visibility': 'internal' }])
  t.notOk(lintDocument(document).some(({ severity }) => severity === 'error'))
})

test('single: the answer is the item (openapi 0.5)', async (t) => {
  const document = await build({ kind: 'pollingTrigger', mode: 'single', item })
  await checkDocument(t, document)
  const operation = operationOf(document, 'PollOrders')
  t.equal(operation['x-ms-trigger'], 'single')
  t.same(operation.responses!['200']!.schema, item)
  t.same(operationOf(await build({ kind: 'pollingTrigger', mode: 'batch', item: undefined }), 'PollOrders').responses!['200']!.schema!.properties!.value, { type: 'array', items: { type: 'object' } })
})
