import t from 'tap'
import { runPollers } from './pollers.ts'

t.setTimeout(120_000)

t.test('50 publishers and 20 pollers on two instances for 10 s: every poller sees every event once, in order', async (t) => {
  const report = await runPollers({ publishers: 50, pollers: 20, seconds: 10 })
  t.comment(JSON.stringify(report))
  t.ok(report.published > 500, `${report.published} events`)
  t.match(report, { missed: 0, repeated: 0, disordered: 0 })
})
