import t from 'tap'
import { runDeadReceivers, runFanOut } from './fan-out.ts'

t.setTimeout(300_000)

t.test('an event for 1,000 subscribers: publish returns at once, and each gets it once', async (t) => {
  const report = await runFanOut(1000, 2)
  t.comment(report)
  t.equal(report.received, 2000)
  t.ok(report.owedThen < 2000, 'publish was answered before the fan-out ended')
  // How fast is for `npm run test:faults` to say, on a machine that does nothing else.
  t.ok(report.publishMs < 2000, `${report.publishMs} ms`)
})

t.test('300 receivers that refuse or never answer do not hold up 10 that live', async (t) => {
  const report = await runDeadReceivers(300, 10)
  t.comment(report)
  t.ok(report.deadPending >= report.dead / 2, 'the dead were still being tried')
  // One attempt may take 15 s.
  t.ok(report.aliveMs < 14_000 && report.secondAliveMs < 14_000, `${report.aliveMs} ms, then ${report.secondAliveMs} ms`)
})
