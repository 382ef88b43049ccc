import { test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { addOrders, createPoller } from '../helpers/polling.ts'
import { publish } from '../helpers/webhooks.ts'

test('a tracking id for each item, in single mode (engine 3.23)', async (t) => {
  const { app, logs } = await createApp(t)
  const ids: unknown[] = ['order-1', undefined, 'a b', 7, '', 'ü', 'x'.repeat(201)]
  addOrders(app, {
    mode: 'single',
    clientTrackingId ({ n }: { n: number }) {
      if (n === 8) throw new Error('odd id')
      return ids[n - 1]
    }
  })
  const poller = createPoller(app, '/orders')
  t.equal((await poller.poll()).headers['x-ms-client-tracking-id'], undefined)
  for (let n = 1; n <= 8; n++) await publish(app, { n })
  const given: unknown[] = []
  for (let answer = await poller.poll(); answer.statusCode === 200; answer = await poller.poll()) given.push(answer.headers['x-ms-client-tracking-id'])
  t.same(given, ['order-1', ...Array<undefined>(7)], 'one that cannot be sent costs no item')
  t.equal(logs.filter(({ level, msg }) => level === 40 && msg === 'clientTrackingId failed: the item is sent without one').length, 6)
})
