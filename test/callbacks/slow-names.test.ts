import { test } from 'tap'
import { eventually } from '../helpers/callback-receiver.ts'
import { createLatch } from '../helpers/latch.ts'
import { fakeNameServer } from '../helpers/name-server.ts'
import { addHooks, createWebhookApp, publish, subscribeHook } from '../helpers/webhooks.ts'

test('twenty names whose servers are dead cost a live receiver neither an attempt nor its host\'s name, and no time once it is known', async (t) => {
  const latch = createLatch<Error>()
  const never = new Promise<Error>(() => {})
  const dead = Array.from({ length: 20 }, (_, index) => `dead${index}.example`)
  fakeNameServer(t, { 'alive.example': [['127.0.0.1']], ...Object.fromEntries(dead.map((name) => [name, [latch.promise, never]])) })
  const { app, clock, receiver, logs } = await createWebhookApp(t, { callbacks: { allowedHosts: ['*.example'], timeoutSeconds: 0.6 } })
  receiver.answer({ statusCode: 202, headers: { connection: 'close' } })
  addHooks(app)
  for (const name of [...dead, 'alive.example']) await subscribeHook(app, `http://${name}:${receiver.port}/workflows/w/run?sig=secret-of-${name}`)
  await clock.advance(1000)
  await publish(app, { n: 1 })
  await clock.advance(0)
  const { id: alive } = (await app.logicApps.deliveries.list())[0]!
  const delivery = async () => (await app.logicApps.deliveries.list()).find(({ id }) => id === alive)!

  // Five failures would break the host.
  for (let rounds = 0; rounds < 6; rounds++) {
    if (rounds > 0) await clock.advance(5000)
    await eventually(async () => ((await delivery()).dueAt ?? 0) > clock.now())
    t.match(await delivery(), { status: 'pending', attempts: 0, dueAt: clock.now() + 5000 })
  }
  t.match(await app.logicApps.deliveries.attempts(alive), [])
  t.match(logs.find(({ msg }) => msg === 'callback put back: alive.example was not looked up in time: other names were slow'), { level: 20 })
  const counted = (await app.logicApps.deliveries.list()).filter(({ attempts }) => attempts > 0)
  t.equal(counted.length, 1, 'of the dead ones only that counts which had its turn')

  // Nothing in between: put back once more, the live one would wait for a clock that nobody moves.
  await clock.advance(5000)
  latch.open(new Error('no such name'))
  await eventually(async () => (await delivery()).status === 'delivered')
  t.match(await delivery(), { attempts: 1 })

  // Dead again, and now it is known.
  await clock.advance(60_000)
  await publish(app, { n: 2 })
  await clock.advance(0)
  await eventually(() => receiver.calls.length === 2)
  t.match(receiver.calls.map(({ body, headers }) => [body, headers.host]), [1, 2].map((n) => [`{"n":${n}}`, `alive.example:${receiver.port}`]))
})
