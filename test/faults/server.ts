/* The server that fault tests kill: one async action. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { JobError, RetryableError, type FastifyLogicAppsOptions } from '../../src/index.ts'
import { createFolderApp, serveWhenTold } from './serve.ts'

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

if (process.argv[1] === import.meta.filename) serveWhenTold(createWorkServer)

/** @param folder Where the side file is, and the store unless the options have one. */
export async function createWorkServer (folder: string, options: FastifyLogicAppsOptions = {}): Promise<FastifyInstance> {
  const app = await createFolderApp(folder, {
    retryAfterSeconds: 1,
    drainSeconds: 1,
    // A campaign kills the same job more often than life does.
    maxCrashes: 1000,
    ...options
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
  return app
}
