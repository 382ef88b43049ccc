import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compare, interleave, median, newProcessWarmUps } from '../measure.ts'
import type { Row } from '../row.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/** Milliseconds that a script says it took. */
async function timed (script: string): Promise<number> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: root })
  return Number(stdout)
}

const fastify = "import Fastify from 'fastify'; import { Type } from 'typebox'; const body = Type.Object({ note: Type.String() });"
// The built package, as users load it.
const plugin = 'import logicApps from "fastify-logic-apps";'
const took = (work: string): string => `const began = performance.now(); ${work}; console.log(performance.now() - began); process.exit()`
const bare = `${fastify} ${took("const app = Fastify(); for (let i = 0; i < 200; i++) app.post('/orders' + i, { schema: { operationId: 'Order' + i, body } }, () => {}); await app.ready()")}`
/** As many routes as an async action has, of the same kinds: what 200 of them cost at least. */
const bareFour = `${fastify} const params = { type: 'object', properties: { token: { type: 'string' } }, required: ['token'] }; ${took("const app = Fastify(); for (let i = 0; i < 200; i++) { const path = '/orders' + i; app.post(path, { schema: { operationId: 'Order' + i, body } }, () => {}); app.get(path + '/jobs/:token', { schema: { params } }, () => {}); app.get(path + '/operations/:token', { schema: { params } }, () => {}); app.delete(path + '/jobs/:token', { schema: { params } }, () => {}) } await app.ready()")}`
const ours = (kind: string): string => `${fastify} ${plugin} import { rmSync, mkdtempSync } from 'node:fs'; import { tmpdir } from 'node:os'; import { sqliteStore } from 'fastify-logic-apps/sqlite';
  const folder = mkdtempSync(tmpdir() + '/bench-start-'); process.on('exit', () => rmSync(folder, { recursive: true }));
  ${took(`const app = Fastify(); await app.register(logicApps, { store: sqliteStore({ file: folder + '/a.db' }), baseUrl: 'https://api.example' }); for (let i = 0; i < 200; i++) ${kind}; await app.ready()`)}`

/** 11: how long a start takes. */
export const start: Row = {
  name: '11',
  about: 'start: register + 200 operations to ready(), and the import',
  async run ({ rounds, quick, progress }) {
    // A quick run takes what was built last.
    if (!quick) await run('npm', ['run', 'build'], { cwd: root })
    const values = await interleave(rounds, {
      'plain routes': () => timed(ours("app.post('/orders' + i, { config: { logicApps: true }, schema: { operationId: 'Order' + i, summary: 'Order', body } }, () => {})")),
      'async actions': () => timed(ours("app.asyncAction('/orders' + i, { schema: { operationId: 'Order' + i, summary: 'Order', body } }, () => {})")),
      bare: () => timed(bare),
      '4 bare routes': () => timed(bareFour),
      import: () => timed('import \'fastify\'; import \'typebox\'; import \'typebox/value\'; const began = performance.now(); await import(\'fastify-logic-apps\'); console.log(performance.now() - began)')
    }, progress, newProcessWarmUps)
    const lines = (['plain routes', 'async actions', '4 bare routes'] as const).map((name) => {
      const isFloor = name === '4 bare routes'
      const { ours, theirs, ratio, low, high } = compare(values[name], values.bare)
      return {
        row: '11',
        measured: isFloor ? '200 x 4 bare routes, as many as an action has' : `200 ${name} to ready()`,
        ours: `${ours.toFixed(0)} ms`,
        beside: '200 bare routes',
        theirs: `${theirs.toFixed(0)} ms`,
        ratio: { ratio, low, high },
        target: isFloor ? '-' : '< 2.00',
        met: isFloor || ratio < 2
      }
    })
    const took = median(values.import)
    return [...lines, { row: '11', measured: 'import of the plugin, after fastify and typebox', ours: `${took.toFixed(0)} ms`, beside: '-', theirs: '-', target: '< 60 ms', met: took < 60 }]
  }
}
