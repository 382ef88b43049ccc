import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Run } from './server.ts'

export interface Exit { code: number | null, signal: NodeJS.Signals | null, stderr: string }

/** A server in a process of its own, which dies with ours. */
export interface ServerProcess {
  origin: string
  pid: number
  /** Its modules are loaded; nothing is open yet. */
  loaded: Promise<void>
  exited: Promise<Exit>
  /** Opens the store and listens. Rejects when the process ends first. */
  start (): Promise<void>
  kill (signal: NodeJS.Signals): void
  /** Sends a message, and resolves to the next one that comes. */
  ask<T> (message: string): Promise<T>
}

export function spawnServer (folder: string, port: number, file = 'server.ts'): ServerProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), folder, String(port)], {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    // A quick start means more kills: compiled code is kept, and coverage is not measured under tap.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'), _TAPJS_PROCESSINFO_COVERAGE_: '0' }
  })
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  const exited = once(child, 'close').then(([code, signal]): Exit => ({ code, signal, stderr }))
  const loaded = hears(child, 'loaded', exited)
  // Whoever kills a server that still loads need not hear that it never did.
  loaded.catch(() => {})
  return {
    origin: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    loaded,
    exited,
    async start () {
      await loaded
      const ready = hears(child, 'ready', exited)
      child.send('start', () => {})
      await ready
    },
    kill: (signal) => { child.kill(signal) },
    async ask<T> (message: string) {
      const answer = once(child, 'message')
      child.send(message)
      return (await answer)[0] as T
    }
  }
}

function hears (child: ChildProcess, expected: string, exited: Promise<Exit>): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => { if (message === expected) resolve() })
    exited.then(({ code, signal, stderr }) => { reject(new Error(`the server ended before it was ${expected} (${signal ?? code}): ${stderr}`)) })
  })
}

/** Every attempt that began, of all servers on the folder, in order. */
export function readRuns (folder: string): Run[] {
  let text = ''
  try {
    text = readFileSync(join(folder, 'runs.jsonl'), 'utf8')
  } catch (error) {
    // No job has run yet.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Run)
}
