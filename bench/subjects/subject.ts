import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'

type Method = (...values: never[]) => unknown

/** What a subject's script gives: where it listens, if it does, and what can be asked of it. */
export interface SubjectParts {
  app?: FastifyInstance
  methods?: Record<string, Method>
  close?: () => unknown
}

/** A process that is measured. Whoever measures it is another. */
export interface Subject {
  origin: string
  call<Result> (method: string, ...values: unknown[]): Promise<Result>
  stop (): Promise<void>
}

/** How far a drain has come, and when: in milliseconds, on the clock of its process. */
export interface Drained { done: number, at: number }

type Message = { ready: string } | { id: number, result: unknown } | { id: number, error: string }

/** @param script One of this folder. @param config What its `serve` is given; of JSON. @param nodeArgs Such as --cpu-prof. */
export async function startSubject (script: string, config: object = {}): Promise<Subject> {
  const profile = process.env.BENCH_CPU_PROF
  if (profile !== undefined) mkdirSync(profile, { recursive: true })
  const child = fork(join(import.meta.dirname, script), [JSON.stringify(config)], {
    execArgv: profile === undefined ? ['--expose-gc'] : ['--cpu-prof', `--cpu-prof-dir=${profile}`, `--cpu-prof-name=${script.replace('.ts', '')}-${Date.now()}.cpuprofile`],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  const exited = once(child, 'exit')
  const waiting = new Map<number, { resolve: (value: never) => void, reject: (error: Error) => void }>()
  let last = 0
  const origin = await new Promise<string>((resolve, reject) => {
    child.on('message', (message: Message) => {
      if ('ready' in message) return resolve(message.ready)
      const call = waiting.get(message.id)!
      waiting.delete(message.id)
      if ('error' in message) call.reject(new Error(`${script}: ${message.error}`))
      else call.resolve(message.result as never)
    })
    exited.then(([code]) => {
      const error = new Error(`${script} ended with ${String(code)}`)
      reject(error)
      for (const call of waiting.values()) call.reject(error)
    })
  })
  return {
    origin,
    call: (method, ...values) => new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject })
      child.send({ id: last, method, values })
    }),
    stop: () => stop(child, exited)
  }
}

async function stop (child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.connected) child.disconnect()
  await exited
}

/** For a script of this folder: becomes the subject that `startSubject` talks to, and ends with it. */
export async function serve<Config> (create: (config: Config) => Promise<SubjectParts>): Promise<void> {
  const { app, methods = {}, close } = await create(JSON.parse(process.argv[2]!) as Config)
  process.on('message', async ({ id, method, values }: { id: number, method: string, values: never[] }) => {
    try {
      process.send!({ id, result: await methods[method]!(...values) })
    } catch (error) {
      process.send!({ id, error: (error as Error).stack })
    }
  })
  process.once('disconnect', async () => {
    await app?.close()
    await close?.()
    process.exit()
  })
  process.send!({ ready: app === undefined ? '' : await app.listen({ port: 0, host: '127.0.0.1' }) })
}
