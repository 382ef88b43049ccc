import t from 'tap'
import { runCampaign } from './campaign.ts'

t.setTimeout(300_000)

t.test('twelve killed servers lose no accepted job, and no end is ever told differently', async (t) => {
  const seed = Math.floor(Math.random() * 1e9)
  t.comment(`node test/faults/campaign.ts --kills 12 --seed ${seed}`)
  const report = await runCampaign({ kills: 12, seed, onProgress: (line) => { t.comment(line) } })
  t.comment(report)

  t.same(report.violations, [])
  t.equal(report.kills, 12)
  // That it was a trial at all.
  t.ok(report.accepted > 10, 'work was accepted')
  t.ok(report.repeatedStarts > 0, 'starts were repeated')
  t.ok(Object.keys(report.runsPerJob).some((runs) => Number(runs) > 1), 'jobs were interrupted and ran again')
})
