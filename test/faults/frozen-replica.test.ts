import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { createDeployment, secret } from '../helpers/deployment.ts'
import { createLatch } from '../helpers/latch.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(90_000)

t.test('a replica that is frozen past its lease and continues with a result is refused: the one that took over has the last word', async (t) => {
  const { replica, url, schema } = await createDeployment(t)
  const frozen = fork(join(import.meta.dirname, '../helpers/frozen-child.ts'), [url, schema, secret], { execArgv: [] })
  t.teardown(() => { frozen.kill('SIGKILL') })
  await once(frozen, 'message')
  frozen.kill('SIGSTOP')

  const taken = createLatch<number>()
  const finish = createLatch()
  const app = await replica()
  app.asyncAction('/cakes', { schema: { operationId: 'Bake', summary: 'Bake', description: 'Bakes.' } }, async (job) => {
    taken.open(job.attempt)
    await finish.promise
    return 'in time'
  })
  await app.ready()
  t.equal(await taken.promise, 2, 'another attempt, elsewhere')

  const late = once(frozen, 'message')
  frozen.send('end')
  frozen.kill('SIGCONT')
  t.same((await late)[0], { settled: [false] }, 'the result that comes too late is refused')
  const id = (await app.logicApps.jobs.list({}))[0]!.id
  t.match(await app.logicApps.jobs.get(id), { status: 'running', attempt: 2 }, 'and changes nothing')
  finish.open(undefined)
  await until(async () => (await app.logicApps.jobs.get(id))?.status !== 'running')
  t.match(await app.logicApps.jobs.get(id), { status: 'succeeded', attempt: 2, result: 'in time' })
})
