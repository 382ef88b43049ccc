import { join } from 'node:path'
import tap, { test } from 'tap'
import { buildApp } from '../../examples/bakery/app.ts'
import { main } from '../../src/cli/index.ts'
import { findPort } from '../helpers/find-port.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

tap.setTimeout(120_000)
// Real time passes: for both at once.
tap.jobs = 2

for (const store of ['SQLite', 'PostgreSQL']) {
  test(`no fault is found in the bakery on ${store}, running as it does in the README`, async (t) => {
    const port = await findPort()
    const origin = `http://127.0.0.1:${port}`
    const app = await buildApp({
      dataDir: createTempDir(t),
      ...(store === 'PostgreSQL' ? { databaseUrl: (await startPostgres()).url, secret: 'a secret of a bakery with 32 characters' } : {}),
      baseUrl: origin,
      allowLocalCallbacks: true,
      callbackScheduleSeconds: [0, 0.3, 0.3, 0.3]
    })
    t.teardown(() => app.close())
    await app.listen({ port, host: '127.0.0.1' })

    let report = ''
    const config = join(import.meta.dirname, '../../examples/bakery/check.json')
    // Longer than the bakery's waits between attempts: silence is silence.
    const code = await main(['check', origin, '--config', config, '--quiet', '0.6', '--patience', '20', '--json'], { out: (text) => { report += text }, err: () => {}, isTerminal: false, env: {} })
    const { results } = JSON.parse(report) as { results: { operation: string, rule: string, outcome: string, detail: string }[] }
    t.same(results.filter(({ outcome }) => outcome === 'error' || outcome === 'warning'), [])
    t.equal(code, 0)
    t.same([...new Set(results.map(({ operation }) => operation))], ['BakeCake', 'BakeCakeAndCall', 'OnOrderPlaced', 'PollOrders', 'PollNextOrder'])
    t.same(results.filter(({ outcome }) => outcome === 'not checked').map(({ operation, rule }) => `${operation} ${rule}`), ['BakeCake poll-with-auth', 'PollNextOrder items-array'],
      'nothing is left out but what the bakery has not: authentication, and batches of one')
  })
}
