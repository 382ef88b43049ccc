import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface Bakery {
  port: number
  /** `SIGTERM` lets it drain, `SIGKILL` lets it do nothing. Resolves when it is gone. */
  end (signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

const running = new Set<ChildProcess>()
process.once('exit', () => { for (const child of running) child.kill('SIGKILL') })

/** The reference app as it is, in a process of its own: only its environment says that it is one of several. */
export async function openBakery (port: number, env: Record<string, string>): Promise<Bakery> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../bakery/server.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, HOST: '127.0.0.1', PORT: String(port), NODE_ENV: 'development', ALLOW_LOCAL_CALLBACKS: '1', LOG_LEVEL: 'error', ...env }
  })
  running.add(child)
  const gone = once(child, 'exit').then(([code, signal]: unknown[]) => {
    running.delete(child)
    return `${String(signal ?? code)}`
  })
  // Its first line says that it is open.
  const early = gone.then((how) => { throw new Error(`a bakery ended before it was open (${how})`) })
  early.catch(() => {})
  await Promise.race([once(child.stdout, 'data'), early])
  return {
    port,
    async end (signal) {
      child.kill(signal)
      const how = await gone
      if (how !== (signal === 'SIGTERM' ? '0' : signal)) throw new Error(`a bakery that was sent ${signal} ended with ${how}`)
    }
  }
}

/** Those that a failure left: they would go on without a database, and keep this process from its end. */
export async function endBakeries (): Promise<void> {
  await Promise.all([...running].map(async (child) => {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }))
}
