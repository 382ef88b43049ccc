import t from 'tap'
import { runCallbackCampaign } from './callbacks.ts'

t.setTimeout(300_000)

t.test('ten killed servers lose no callback, and repeat none but those in flight, with the same webhook-id', async (t) => {
  const seed = Math.floor(Math.random() * 1e9)
  t.comment(`node test/faults/callbacks.ts --kills 10 --seed ${seed}`)
  const report = await runCallbackCampaign({ kills: 10, seed, onProgress: (line) => { t.comment(line) } })
  t.comment(report)

  t.same(report.violations, [])
  t.equal(report.lost, 0)
  t.equal(Object.values(report.kills).reduce((sum, count) => sum + count), 10)
  // That it was a trial at all.
  t.ok(report.published > 5 && report.actions > 5, 'events and actions were accepted')
  t.ok(report.received >= report.owed, 'what was owed was received')
  t.ok(report.retried > 0, 'receivers failed')
})
