import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

/** What the two stores share. Nobody else may import it. */
const ofBothStores = ['stores/filters.ts', 'stores/observer.ts', 'stores/records.ts']

/**
 * The arrows of the source tree, pointing down only. `imports` is what a folder may take from the rest of src (a
 * file, or a folder with its slash), `types` what it may take as types alone, `packages` the guarded packages it may
 * use. A folder that is not listed, and a file at the top of src, may import all of ours but a concrete store.
 */
const folders = {
  protocol: { imports: ['errors.ts'], pure: true },
  callbacks: { imports: ['errors.ts', 'protocol/'] },
  work: { imports: ['errors.ts', 'protocol/', 'callbacks/'] },
  stores: { imports: ['errors.ts', 'work/store.ts'], types: ['work/clock.ts', 'work/log.ts'] },
  'stores/sqlite': { imports: ['errors.ts', 'work/store.ts', ...ofBothStores], types: ['work/clock.ts', 'work/log.ts'], packages: ['node:sqlite'] },
  'stores/postgres': { imports: ['errors.ts', 'work/store.ts', ...ofBothStores], types: ['work/clock.ts', 'work/log.ts'], packages: ['pg'] },
  connector: { imports: ['errors.ts', 'protocol/'], packages: ['fastify'] },
  operations: { imports: ['errors.ts', 'protocol/', 'work/', 'connector/'], packages: ['fastify'] },
  testing: {
    imports: ['index.ts', 'augment.ts', 'errors.ts', 'protocol/', 'callbacks/', 'work/', 'connector/', 'operations/'],
    packages: ['fastify']
  }
}
const guardedPackages = ['fastify', 'node:sqlite', 'pg']
const pureModules = ['buffer', 'crypto', 'querystring', 'url', 'util']
const concreteStore = {
  regex: '^(?:\\.{1,2}/)+(?:stores|sqlite|postgres)/',
  message: 'Only plugin.ts, default-store.ts and the commands migrate and move know a concrete store; others know src/work/store.ts.'
}
const partOfStore = {
  regex: '/stores/(?!(?:sqlite|postgres)/index\\.ts$)',
  message: 'Whoever knows a concrete store knows its index.ts alone.'
}

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),

  restrict('src/**/*.ts', [...packagesExcept([]), concreteStore]),
  restrict(['src/augment.ts', 'src/options.ts'], [...packagesExcept(['fastify']), concreteStore]),
  restrict(['src/plugin.ts', 'src/index.ts', 'src/default-store.ts'], [...packagesExcept(['fastify']), partOfStore]),
  ...Object.entries(folders).flatMap(([folder, rules]) => [0, 1].map((level) => restrictFolder(folder, level, rules))),

  // A migration has no host whose clock it could take.
  restrictFolder('stores/postgres', 0, {
    ...folders['stores/postgres'], imports: [...folders['stores/postgres'].imports, 'work/clock.ts'], types: ['work/log.ts']
  }, 'src/stores/postgres/index.ts'),
  // From one concrete store to another: the only file that knows both.
  restrict('src/stores/move.ts', packagesExcept(['node:sqlite'])),
  // Commands that a person runs against PostgreSQL.
  restrict(['src/cli/database.ts', 'src/cli/migrate/*.ts', 'src/cli/move/*.ts'], [...packagesExcept([]), partOfStore]),

  // `declare module 'fastify'` repeats every type parameter of FastifyInstance; tsc still reports unused locals.
  { files: ['src/augment.ts'], rules: { '@typescript-eslint/no-unused-vars': 'off' } }
]

/** The rules of the files `level` folders below `folder`, or of one of them. */
function restrictFolder (folder, level, { imports, types = [], packages = [], pure = false }, files = `src/${folder}/${'*/'.repeat(level)}*.ts`) {
  // `../` as often as it takes to leave the folder; then, for a nested one, as often as it takes to reach src, unless
  // it is a file beside the folder.
  const out = `^(?:\\.\\./){${level + 1}}`
  const toSrc = '\\.\\./'.repeat(folder.split('/').length - 1)
  const above = folder.slice(0, folder.lastIndexOf('/') + 1)
  const fromFolder = (path) => above !== '' && path.startsWith(above) ? exactly(path.slice(above.length)) : toSrc + exactly(path)
  const oneOf = (paths) => `(?:${paths.map(fromFolder).join('|')})`

  const patterns = [...packagesExcept(packages), concreteStore, {
    regex: `${out}(?!${oneOf([...imports, ...types])})`,
    message: `src/${folder} may import only: ${[...imports, ...types].join(', ')}.`
  }]
  if (types.length > 0) {
    patterns.push({
      regex: `${out}${oneOf(types)}`,
      allowTypeImports: true,
      message: `src/${folder} may import types alone from ${types.join(', ')}.`
    })
  }
  if (pure) {
    patterns.push({
      regex: `^node:(?!(?:${pureModules.join('|')})$)`,
      allowTypeImports: true,
      message: `src/${folder} does no I/O and reads no clock.`
    })
  }
  return restrict(files, patterns)
}

function packagesExcept (allowed) {
  const selfReference = { regex: '^fastify-logic-apps(?:/|$)', message: 'Import the source file.' }
  return [selfReference, ...guardedPackages.filter((name) => !allowed.includes(name)).map((name) => ({
    regex: `^${name}(?:/|$)`,
    message: `This folder may not use ${name}: see the table in eslint.config.js.`
  }))]
}

function restrict (files, patterns) {
  return {
    files: [files].flat(),
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] }
  }
}

/** Matches a folder by its beginning, a file by the whole of its name. */
function exactly (path) {
  return path.replaceAll('.', '\\.') + (path.endsWith('/') ? '' : '$')
}
