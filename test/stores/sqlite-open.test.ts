import { createHash } from 'node:crypto'
import fs, { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type Test } from 'tap'
import { accept, claim, settle, succeeded } from '../../src/testing/store-contract/bench.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { holdWorkerLock } from '../../src/stores/sqlite/worker-lock.ts'
import { openStore } from '../helpers/sqlite.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

const invalid = 'FST_LOGIC_APPS_INVALID_DATABASE'
const unavailable = 'FST_LOGIC_APPS_STORE_UNAVAILABLE'
const hash = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

/** A database with some jobs in it, closed. */
async function makeDatabase (t: Test, file: string): Promise<void> {
  const { store } = await openStore(t, file)
  await accept(store, ...Array.from({ length: 50 }, () => ({ input: JSON.stringify('x'.repeat(2000)) })))
  await store.close()
}

function makeForeign (file: string, statements: string): void {
  const database = new DatabaseSync(file)
  database.exec(statements)
  database.close()
}

test('a commit is on disk when it returns: a write-ahead log, and synchronous = FULL', async (t) => {
  const opened: DatabaseSync[] = []
  const openDatabase = (file: string): DatabaseSync => {
    const database = new DatabaseSync(file)
    opened.push(database)
    return database
  }
  await openStore(t, join(createTempDir(t), 'work.db'), { openDatabase })
  const [database] = opened
  t.match(database!.prepare('PRAGMA journal_mode').get(), { journal_mode: 'wal' })
  // https://www.sqlite.org/pragma.html#pragma_synchronous
  t.match(database!.prepare('PRAGMA synchronous').get(), { synchronous: 2 })
})

const unusable: Record<string, { code: string, message: RegExp, make (t: Test, file: string): unknown }> = {
  'a file of another kind': { code: invalid, message: /damaged or no SQLite database/, make: (_, file) => writeFileSync(file, 'flavour,price\nlemon,3\n'.repeat(500)) },
  'a short text': { code: invalid, message: /damaged or no SQLite database/, make: (_, file) => writeFileSync(file, 'not a database') },
  'a database with a damaged header': {
    code: invalid,
    message: /damaged or no SQLite database/,
    async make (t, file) {
      await makeDatabase(t, file)
      const bytes = readFileSync(file)
      bytes.fill(0x55, 0, 40)
      writeFileSync(file, bytes)
    }
  },
  'a database that was cut short': {
    code: invalid,
    message: /damaged or no SQLite database/,
    async make (t, file) {
      await makeDatabase(t, file)
      truncateSync(file, statSync(file).size / 2 - statSync(file).size / 2 % 4096)
    }
  },
  'a database cut within its first page': {
    code: invalid,
    message: /damaged or no SQLite database/,
    async make (t, file) {
      await makeDatabase(t, file)
      truncateSync(file, 1000)
    }
  },
  "another program's database": {
    code: invalid, message: /the database of another program/, make: (_, file) => makeForeign(file, 'CREATE TABLE jobs (id TEXT); INSERT INTO jobs VALUES (1)')
  },
  "another program's database in WAL mode": {
    code: invalid, message: /the database of another program/, make: (_, file) => makeForeign(file, 'PRAGMA journal_mode = WAL; CREATE TABLE cakes (id TEXT)')
  },
  "another program's database, by its application id": {
    code: invalid, message: /the database of another program/, make: (_, file) => makeForeign(file, 'PRAGMA application_id = 42; CREATE TABLE cakes (id TEXT)')
  },
  "another program's database, still empty": { code: invalid, message: /the database of another program/, make: (_, file) => makeForeign(file, 'PRAGMA application_id = 42') },
  'a database of a newer version': {
    code: 'FST_LOGIC_APPS_SCHEMA_VERSION',
    message: /schema version 99, this version of fastify-logic-apps knows 2: install the newer version/,
    async make (t, file) {
      await makeDatabase(t, file)
      makeForeign(file, 'PRAGMA user_version = 99')
    }
  }
}

for (const [name, { code, message, make }] of Object.entries(unusable)) {
  test(`${name} is refused and left as it is`, async (t) => {
    const folder = createTempDir(t)
    const file = join(folder, 'jobs.db')
    await make(t, file)
    const before = hash(file)
    await t.rejects(openStore(t, file), { code, message })
    await t.rejects(openStore(t, file), { message: file }, 'the error names the file')
    t.equal(hash(file), before)
    t.same(readdirSync(folder), ['jobs.db'])
  })
}

test('a path that is a folder, or below a file, is refused with its name', async (t) => {
  const folder = createTempDir(t)
  writeFileSync(join(folder, 'file'), '')
  await t.rejects(openStore(t, folder), { code: unavailable, message: folder })
  const below = join(folder, 'file', 'jobs.db')
  await t.rejects(openStore(t, below), { code: unavailable, message: below })
})

test('a folder that may not be written to is refused with its name', async (t) => {
  const folder = createTempDir(t)
  chmodSync(folder, 0o555)
  // Root may write anywhere.
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid!(65534)
  try {
    for (const file of [join(folder, 'jobs.db'), join(folder, 'new', 'jobs.db')]) {
      await t.rejects(openStore(t, file), { code: unavailable, message: `${file} cannot be used` })
    }
  } finally {
    if (isRoot) process.seteuid!(0)
  }
  t.same(readdirSync(folder), [])
})

test('folders are made as needed', async (t) => {
  const file = join(createTempDir(t), 'a', 'b', 'jobs.db')
  await openStore(t, file)
  t.ok(statSync(file).isFile())
})

test('the option "file" is asked for', async (t) => {
  for (const options of [undefined, {}, { file: '' }, { file: 7 }]) {
    t.throws(() => sqliteStore(options as never), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: 'sqliteStore needs "file"' })
  }
})

test('the secret is kept in a file that only its owner reads', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  const { identity } = await openStore(t, file)
  t.throws(() => statSync(`${file}.key`), { code: 'ENOENT' }, 'made when asked for')
  const secret = await identity.localSecret!()
  t.equal(statSync(`${file}.key`).mode & 0o777, 0o600)
  t.same(readFileSync(`${file}.key`), Buffer.from(secret))
  t.same(readdirSync(join(file, '..')).filter((name) => name.includes('.key')), ['jobs.db.key'], 'no draft stays')
})

test('a secret that is missing or cut is told, not replaced', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  const first = await openStore(t, file)
  await first.identity.localSecret!()
  await first.store.close()

  const { identity } = await openStore(t, file)
  writeFileSync(`${file}.key`, 'short')
  await t.rejects(identity.localSecret!(), { code: invalid, message: `${file}.key has 5 bytes instead of 32` })
  rmSync(`${file}.key`)
  await t.rejects(identity.localSecret!(), { code: invalid, message: `the key file ${file}.key cannot be read` })
  t.throws(() => statSync(`${file}.key`), { code: 'ENOENT' })
})

test('a network file system is refused, with PostgreSQL as the answer', async (t) => {
  const { statfsSync } = fs
  t.teardown(() => {
    fs.statfsSync = statfsSync
    syncBuiltinESMExports()
  })
  const pretend = (type: number): void => {
    fs.statfsSync = (() => ({ type })) as unknown as typeof statfsSync
    syncBuiltinESMExports()
  }
  const folder = createTempDir(t)
  // The last one is CIFS as a signed number.
  for (const [type, name] of [[0x6969, 'NFS'], [0xff534d42, 'CIFS'], [0xfe534d42, 'SMB2'], [-11317950, 'CIFS']] as const) {
    pretend(type)
    await t.rejects(openStore(t, join(folder, 'jobs.db')), { code: invalid, message: `${folder} is on a network file system (${name})` })
    await t.rejects(openStore(t, join(folder, 'jobs.db')), { message: 'use PostgreSQL' })
  }
  t.same(readdirSync(folder), [])
  pretend(0xef53)
  await openStore(t, join(folder, 'jobs.db'))
})

test('lock files of processes that died early are removed, those of living ones and new ones stay', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  const longAgo = new Date(Date.now() - 3_600_000)
  const living = holdWorkerLock(file, 'living')
  t.teardown(() => living.release())
  for (const worker of ['died', 'starting', 'living']) {
    if (worker !== 'living') writeFileSync(`${file}-worker-${worker}`, '')
    if (worker !== 'starting') utimesSync(`${file}-worker-${worker}`, longAgo, longAgo)
  }
  await openStore(t, file, { worker: 'opened' })
  t.same(readdirSync(join(file, '..')).filter((name) => name.includes('worker') && !name.endsWith('-journal')),
    ['living', 'opened', 'starting'].map((worker) => `jobs.db-worker-${worker}`))
})

test('a store that closes leaves the database alone', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  await makeDatabase(t, file)
  t.same(readdirSync(join(file, '..')), ['jobs.db'])
})

test('by whichever symbolic link they open it, processes share a database and its secret', async (t) => {
  const folder = createTempDir(t)
  mkdirSync(join(folder, 'data'))
  const file = join(folder, 'data', 'jobs.db')
  const link = join(folder, 'link.db')
  const direct = await openStore(t, file)
  symlinkSync(file, link)
  const linked = await openStore(t, link)

  await accept(direct.store, {})
  const [job] = await claim(direct.store)
  t.equal(await linked.store.recover(), 0, 'the other is seen to live')
  t.ok(await settle(direct.store, job!, succeeded()))
  t.same(Buffer.from(await linked.identity.localSecret!()), Buffer.from(await direct.identity.localSecret!()))
  t.same(readdirSync(folder).sort(), ['data', 'link.db'])
})
