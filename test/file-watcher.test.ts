import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp } from '../examples/file-watcher/app.ts'
import { openFolder, type FilePlace } from '../examples/file-watcher/folder.ts'
import { createPoller, type Poller } from './helpers/polling.ts'
import { createTempDir } from './helpers/temp-dir.ts'
import { until } from './helpers/until.ts'

t.setTimeout(120_000)

interface Watcher {
  app: FastifyInstance
  poller: Poller
  /** In the watched folder. */
  file: (name: string) => string
  write: (name: string, content?: string) => void
  /** Lets what was written count as written. */
  settle: () => void
  names: () => string[]
}

/** A file's time is the file system's own, so it is the app's clock that is moved. */
async function watch (t: Test): Promise<Watcher> {
  const folder = createTempDir(t)
  let ahead = 0
  const app = await buildApp({ folder, dataDir: createTempDir(t), baseUrl: 'https://files.example', now: () => Date.now() + ahead })
  t.teardown(() => app.close())
  const poller = createPoller(app, '/files')
  const file = (name: string): string => join(folder, name)
  return {
    app,
    poller,
    file,
    write (name, content = name) {
      ahead = 0
      writeFileSync(file(name), content)
    },
    settle: () => { ahead = 2100 },
    names: () => poller.items.map((item) => (item as { name: string }).name)
  }
}

t.test('the four rows of the documented example (engine 3.4)', async (t) => {
  const { poller, write, settle, names } = await watch(t)
  write('old.txt')
  settle()
  const first = await poller.poll()
  // A file system's clock is a little behind, and this app's is ahead.
  const begun = Date.now()
  await until(() => Date.now() > begun + 200)
  t.match([first.statusCode, first.headers['retry-after']], [202, '15'], 'no state: 202 with one, and none of the files that were there')
  const { url } = poller
  const nothing = await poller.poll()
  t.match([nothing.statusCode, nothing.headers['retry-after'], poller.url], [202, '15', url], 'no newer file: 202 with the same state')
  write('a.txt', 'Hello')
  settle()
  const one = await poller.poll()
  t.match([one.statusCode, one.headers['retry-after']], [200, '15'], 'one newer file')
  t.match(one.json(), { name: 'a.txt', size: 5, content: 'Hello', changedAt: /^20\d\d-.*Z$/ })
  t.not(poller.url, url)
  for (const name of ['b.txt', 'c.txt', 'd.txt']) write(name)
  settle()
  const answers = [await poller.poll(), await poller.poll(), await poller.poll(), await poller.poll()]
  t.same(answers.map(({ statusCode, headers }) => [statusCode, headers['retry-after']]), [[200, '0'], [200, '0'], [200, '15'], [202, '15']], 'several: one at a time, and 0 while more wait')
  t.same(names().sort(), ['a.txt', 'b.txt', 'c.txt', 'd.txt'])
})

t.test('a file that is being written is given when it is left alone, and again when it is changed', async (t) => {
  const { poller, write, settle } = await watch(t)
  await poller.poll()
  write('report.txt', 'half')
  await poller.drain()
  t.same(poller.items, [])
  write('report.txt', 'half and half')
  settle()
  await poller.drain()
  t.match(poller.items, [{ content: 'half and half' }])
  write('report.txt', 'new')
  settle()
  await poller.drain()
  t.match(poller.items, [{ content: 'half and half' }, { content: 'new' }])
})

t.test('a file that is moved in with an old date is new; one that is renamed comes again by its new name', async (t) => {
  const { poller, write, settle, names, file } = await watch(t)
  const elsewhere = createTempDir(t)
  writeFileSync(join(elsewhere, 'old.txt'), 'old')
  utimesSync(join(elsewhere, 'old.txt'), 1, 1)
  await poller.poll()
  renameSync(join(elsewhere, 'old.txt'), file('old.txt'))
  write('a.txt')
  settle()
  await poller.drain()
  // Of one instant, perhaps: then by name.
  t.same(names().sort(), ['a.txt', 'old.txt'])
  renameSync(file('a.txt'), file('b.txt'))
  settle()
  await poller.drain()
  t.same(names().slice(2), ['b.txt'])
})

t.test('what is deleted between polls is passed over, folders, links and hidden files too', async (t) => {
  const { poller, write, settle, names, file } = await watch(t)
  await poller.poll()
  for (const name of ['a.txt', 'b.txt', 'c.txt', '.hidden']) write(name)
  mkdirSync(file('folder'))
  symlinkSync('/etc/passwd', file('link'))
  settle()
  await poller.poll()
  rmSync(file('b.txt'))
  await poller.drain()
  t.same(names(), ['a.txt', 'c.txt'])
})

t.test('when all that was listed is deleted, or is a folder now, what came since is found', async (t) => {
  const { poller, write, settle, names, file } = await watch(t)
  await poller.poll()
  for (const name of ['a.txt', 'b.txt', 'c.txt']) write(name)
  settle()
  await poller.poll()
  rmSync(file('b.txt'))
  rmSync(file('c.txt'))
  mkdirSync(file('c.txt'))
  write('d.txt')
  settle()
  await poller.drain()
  t.same(names(), ['a.txt', 'd.txt'])
})

t.test('a state survives that its own file is deleted', async (t) => {
  const { poller, write, settle, names, file } = await watch(t)
  await poller.poll()
  write('a.txt')
  settle()
  await poller.drain()
  rmSync(file('a.txt'))
  write('b.txt')
  settle()
  await poller.drain()
  t.same(names(), ['a.txt', 'b.txt'])
})

t.test('a lost answer is given again', async (t) => {
  const { app, poller, write, settle, names } = await watch(t)
  await poller.poll()
  write('a.txt')
  settle()
  t.equal((await app.inject(poller.url)).json<{ name: string }>().name, 'a.txt')
  await poller.drain()
  t.same(names(), ['a.txt'])
})

t.test('a folder that is gone fails the poll, and the state goes on when it is back', async (t) => {
  const { poller, write, settle, names, file } = await watch(t)
  await poller.poll()
  const folder = file('.')
  renameSync(folder, `${folder}-away`)
  t.equal((await poller.poll()).statusCode, 500)
  renameSync(`${folder}-away`, folder)
  write('a.txt')
  settle()
  await poller.drain()
  t.same(names(), ['a.txt'])
})

t.test('10,000 files at once, many of one instant: each is given once', async (t) => {
  const { write, settle, poller, names } = await watch(t)
  await poller.poll()
  const expected = Array.from({ length: 10_000 }, (_, index) => `file-${index}.txt`)
  for (const name of expected) write(name, '')
  settle()
  await poller.drain()
  t.same(names().sort(), expected.sort())
})

t.test('files of one instant are ordered by name, and none is left out', async (t) => {
  const path = createTempDir(t)
  const names = Array.from({ length: 300 }, (_, index) => `file-${String(index).padStart(3, '0')}.txt`)
  for (const name of names) writeFileSync(join(path, name), name)
  const folder = openFolder(path, { settleMs: 0, now: () => Date.now() + 60_000 })
  const { signal } = new AbortController()
  const seen: FilePlace[] = []
  for (let place: FilePlace = { time: '0', name: '' }; ;) {
    const { file, more } = await folder.next(place, signal)
    if (file === undefined) break
    seen.push(file)
    t.equal(more, seen.length < names.length)
    place = file
  }
  t.same(seen.map(({ name }) => name).sort(), names)
  // The same time for two files: what comes before by name is behind neither.
  const { time } = seen[0]!
  const next = await folder.next({ time, name: '' }, signal)
  t.equal(next.file?.time, time, 'a place before any name of that instant')
})
