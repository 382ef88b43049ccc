/*
 * The server that fault tests kill: `node server.ts <folder> <port>`, with an IPC channel. It loads, says 'loaded',
 * opens its store and listens when told 'start', and says 'ready'. So a killed server can have its successor at hand,
 * and a kill shortly after 'start' hits the opening of the store, not the loading of modules.
 */
import { appendFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { type Static, Type } from 'typebox'
import { fastifyLogicApps, JobError, RetryableError } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'

const TaskSchema = Type.Object({
  value: Type.String(),
  /** How long the work takes. */
  ms: Type.Number(),
  /** `again`: the first attempt asks for another. `stuck`: the first attempt never ends by itself. */
  kind: Type.Enum(['succeeds', 'fails', 'again', 'stuck'])
})
export type Task = Static<typeof TaskSchema>

const Outcome = Type.Object({ value: Type.String(), attempt: Type.Integer() })

/** One line of the side file: an attempt has begun. */
export interface Run { id: string, attempt: number, value: string, pid: number, at: number }

if (process.argv[1] === import.meta.filename) {
  const [folder, port] = process.argv.slice(2) as [string, string]
  process.on('disconnect', () => { process.exit(1) })
  process.once('message', () => { start(folder, Number(port)) })
  // A process that is killed would not write it.
  flushCompileCache()
  process.send!('loaded')
}

async function start (folder: string, port: number): Promise<void> {
  const app = Fastify({ logger: { level: 'error', stream: process.stderr } }).withTypeProvider<TypeBoxTypeProvider>()
  await app.register(fastifyLogicApps, {
    store: sqliteStore({ file: join(folder, 'work.db') }),
    // The same wherever it listens: clients know where the servers are.
    baseUrl: 'https://work.example',
    retryAfterSeconds: 1,
    drainSeconds: 1,
    // A campaign kills the same job more often than life does.
    maxCrashes: 1000
  })

  app.asyncAction('/work', { schema: { operationId: 'Work', body: TaskSchema }, result: Outcome }, async (job) => {
    const { value, ms, kind } = job.input
    const run: Run = { id: job.id, attempt: job.attempt, value, pid: process.pid, at: Date.now() }
    appendFileSync(join(folder, 'runs.jsonl'), JSON.stringify(run) + '\n')
    await job.sleep(ms / 2)
    await job.progress(50, 'Half of it')
    await job.sleep(ms / 2)
    if (kind === 'fails') throw new JobError('Asked', value)
    if (kind === 'again' && job.attempt === 1) throw new RetryableError('Once more', { delaySeconds: 0.05 })
    if (kind === 'stuck' && job.attempt === 1) await job.sleep(600_000)
    return { value, attempt: job.attempt }
  })

  process.once('SIGTERM', () => { app.close() })
  await app.listen({ port, host: '127.0.0.1' })
  process.send!('ready')
  // From here on the process lives as long as the app does.
  process.channel!.unref()
}
