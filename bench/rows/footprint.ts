import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Row } from '../row.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const mb = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`

function sizeOf (folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}

/** 13: what an installation brings along. */
export const footprint: Row = {
  name: '13',
  about: 'footprint: npm pack, and what an installation adds to an app with fastify and typebox',
  isUntimed: true,
  async run ({ quick, path, progress }) {
    const folder = path('footprint')
    mkdirSync(folder, { recursive: true })
    const { stdout } = await run('npm', ['pack', '--json', ...(quick ? ['--ignore-scripts'] : []), '--pack-destination', folder], { cwd: root })
    const [packed] = JSON.parse(stdout.slice(stdout.indexOf('['))) as { filename: string, size: number }[]
    const install = async (name: string, packages: string[]): Promise<number> => {
      const project = join(folder, name)
      mkdirSync(project)
      writeFileSync(join(project, 'package.json'), '{"private":true}')
      await run('npm', ['install', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', ...packages], { cwd: project })
      const size = sizeOf(join(project, 'node_modules'))
      progress(`${name}: ${mb(size)}`)
      return size
    }
    const host = ['fastify@5', 'typebox@1']
    const app = await install('app', host)
    const ours = await install('ours', [...host, join(folder, packed!.filename)]) - app
    const lines = []
    for (const peer of quick ? ['pg-boss'] : ['bullmq', 'pg-boss']) {
      const theirs = await install(peer, [...host, ...(peer === 'pg-boss' ? ['pg-boss@12'] : ['bullmq@6', 'ioredis@5'])]) - app
      lines.push({ row: '13', measured: `installed beside fastify and typebox (packed: ${mb(packed!.size)})`, ours: mb(ours), beside: peer, theirs: mb(theirs), ratio: { ratio: ours / theirs, low: ours / theirs, high: ours / theirs }, target: '< 1.00', met: ours < theirs })
    }
    return lines
  }
}
