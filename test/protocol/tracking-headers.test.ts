import { test } from 'tap'
import { trackingOf } from '../../src/protocol/tracking-headers.ts'

// As the engine sends them (engine 5.2, 5.3).
const headers = {
  'x-ms-workflow-id': '3db36c0a4bc54ff5b0b42ea2e4cbcb2d',
  'x-ms-workflow-run-id': '08584676451313468386713131420CU17',
  'x-ms-workflow-operation-name': 'Bake_a_cake',
  'x-ms-action-tracking-id': '6f4e0fbd-7a0a-4b0c-9d1e-1f0c2a9f3b11',
  'x-ms-client-tracking-id': '08584676451313468386713131420CU17'
}

test('the engine\'s headers say where a call came from', async (t) => {
  t.strictSame(trackingOf({ ...headers, host: 'cakes.contoso.com', authorization: 'Bearer secret', 'x-ms-execution-location': 'westeurope' }), {
    workflowId: headers['x-ms-workflow-id'],
    workflowRunId: headers['x-ms-workflow-run-id'],
    operationName: headers['x-ms-workflow-operation-name'],
    actionTrackingId: headers['x-ms-action-tracking-id'],
    clientTrackingId: headers['x-ms-client-tracking-id']
  })
})

test('a caller that sends none has none: workflows can suppress them (engine 5.6)', async (t) => {
  t.strictSame(trackingOf({}), {})
  t.strictSame(trackingOf({ 'x-ms-workflow-run-id': 'run' }), { workflowRunId: 'run' })
})

test('empty, repeated and overlong values are left out, the others stay', async (t) => {
  t.strictSame(trackingOf({ ...headers, 'x-ms-workflow-id': '', 'x-ms-workflow-run-id': ['a', 'b'], 'x-ms-workflow-operation-name': 'x'.repeat(201) }), {
    actionTrackingId: headers['x-ms-action-tracking-id'],
    clientTrackingId: headers['x-ms-client-tracking-id']
  })
  t.strictSame(trackingOf({ 'x-ms-workflow-operation-name': 'x'.repeat(200) }), { operationName: 'x'.repeat(200) })
})

test('what it gives is fit for JSON and for a log', async (t) => {
  t.strictSame(JSON.parse(JSON.stringify(trackingOf(headers))), trackingOf(headers))
  t.strictSame(Object.keys(trackingOf(JSON.parse('{"__proto__":{"x-ms-workflow-id":"w"}}'))), [])
})
