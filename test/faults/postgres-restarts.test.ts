import t from 'tap'
import { runRestartCampaign } from './postgres-restarts.ts'

t.setTimeout(300_000)

t.test('PostgreSQL is restarted every few seconds for 60 s: nothing is lost or recorded twice, and callers are told to wait', async (t) => {
  const seed = Math.floor(Math.random() * 1e9)
  t.comment(`node test/faults/postgres-restarts.ts --seconds 60 --clients 4 --seed ${seed}`)
  const report = await runRestartCampaign({ seconds: 60, clients: 4, seed, onProgress: (line) => { t.comment(line) } })
  t.comment(report)

  t.same(report.violations, [])
  t.match(report, { lost: 0, recordedTwice: 0 })
  t.ok(report.longestRecoveryMs < 30_000, `recovered within ${report.longestRecoveryMs} ms`)
  // That it was a trial at all.
  t.ok(report.restarts >= 2, 'PostgreSQL was restarted')
  t.ok(report.accepted > 10, 'work was accepted')
  t.ok(report.serverErrors > 0, 'starts were refused meanwhile')
  t.ok(report.waits > 0, 'polls were told to wait')
  t.ok(report.endedWhileAway > 0, 'handlers ended meanwhile')
})
