import { test } from 'tap'
import { RetryableError } from '../../src/index.ts'
import type { Clock } from '../../src/work/clock.ts'
import { createReceiver, localCallbacks } from '../helpers/callback-receiver.ts'
import { createDeployment } from '../helpers/deployment.ts'
import { until } from '../helpers/until.ts'

const apartMs = 600_000

/** The machine's clock, set wrong. */
const clockAhead = (ms: number): Clock => ({
  now: () => Date.now() + ms,
  monotonic: () => performance.now(),
  after (delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => { clearTimeout(timer) }
  }
})

const documented = (operationId: string): { operationId: string, summary: string, description: string } => ({ operationId, summary: operationId, description: `${operationId}.` })

test('replicas whose clocks are ten minutes apart run jobs, try again and call back', { timeout: 60_000 }, async (t) => {
  const receiver = await createReceiver(t)
  const tried = new Set<string>()
  // Each callback is refused once.
  receiver.answer(({ target }) => {
    if (tried.has(target)) return 200
    tried.add(target)
    return 503
  })
  const { replica } = await createDeployment(t)
  const ranAt = [0, 0]
  const apps = await Promise.all([0, apartMs].map(async (ms, index) => {
    const app = await replica({ clock: clockAhead(ms), concurrency: 2, callbacks: { ...localCallbacks, delaySeconds: 0, scheduleSeconds: [0, 0.2, 0.2, 0.2] } })
    app.asyncAction('/cakes', { schema: documented('Bake'), retries: 3 }, async (job) => {
      ranAt[index]!++
      await job.sleep(20)
      if (job.attempt === 1) throw new RetryableError('Once more', { delaySeconds: 0.1 })
      return job.attempt
    })
    app.webhookAction('/calls', { schema: documented('Call') }, () => 'done')
    const topic = app.logicApps.topic('orders')
    app.webhookTrigger('/hooks', { schema: documented('OnOrder'), topic })
    app.pollingTrigger('/poll', { schema: documented('PollOrders'), topic })
    await app.ready()
    return { app, topic }
  }))
  const [behind, ahead] = apps as [typeof apps[0], typeof apps[0]]
  const pathOf = (location: unknown): string => String(location).replace('https://api.example', '')

  for (const [here, there, name] of [[behind, ahead, 'behind'], [ahead, behind, 'ahead']] as const) {
    const started = await Promise.all(Array.from({ length: 10 }, () => here.app.inject({ method: 'POST', url: '/cakes', payload: {} })))
    for (const { headers } of started) {
      let answer = await there.app.inject(pathOf(headers.location))
      await until(async () => {
        answer = await there.app.inject(pathOf(headers.location))
        return answer.statusCode !== 202
      })
      t.same([answer.statusCode, answer.json()], [200, 2], 'tried again, once')
      t.equal((await here.app.inject(pathOf(headers.location))).statusCode, 200, 'and within its retention by both clocks')
    }

    const poll = await here.app.inject('/poll')
    t.equal(poll.statusCode, 202)
    t.equal((await here.app.inject({ method: 'POST', url: '/hooks', payload: { callbackUrl: `${receiver.origin}/orders/${name}` } })).statusCode, 201)
    await there.topic.publish({ of: name })
    const polled = await there.app.inject(pathOf(poll.headers.location))
    t.same([polled.statusCode, polled.json()], [200, { value: [{ of: name }] }])
    t.equal((await here.app.inject({ method: 'POST', url: '/calls', payload: { callbackUrl: `${receiver.origin}/calls/${name}` } })).statusCode, 201)
    await until(() => [`/orders/${name}`, `/calls/${name}`].every((target) => receiver.calls.filter((call) => call.target === target).length >= 2))
  }
  await until(async () => (await behind.app.logicApps.deliveries.list({ status: 'pending' })).length === 0)
  t.same(await ahead.app.logicApps.deliveries.list({ status: 'dead' }), [])
  // Two calls and, since the first subscriber hears of both, three orders: each refused once.
  t.equal(receiver.calls.filter(({ target }) => target.startsWith('/calls/')).length, 4)
  t.equal(ranAt[0]! + ranAt[1]!, 40, 'no attempt but those that were asked for')
  t.ok(ranAt.every((count) => count > 0), `each had a part in it: ${ranAt.join(' and ')}`)
})
