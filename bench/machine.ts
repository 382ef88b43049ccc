import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { cpus, release, totalmem, type } from 'node:os'
import { median } from './measure.ts'

const packages = ['fastify', 'pg-boss', 'pg', 'bullmq', 'plainjob', 'undici', 'autocannon']

/** What the figures were measured on. @param file A path on the disk that is measured. */
export function describeMachine (file: string): string[] {
  const [cpu] = cpus()
  const versions = packages.map((name) => `${name} ${versionOf(name)}`)
  return [
    `${cpus().length} x ${cpu?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GB, ${type()} ${release()}, Node ${process.versions.node}, SQLite ${process.versions.sqlite}`,
    versions.join(', '),
    `fdatasync of 25 kB: ${fdatasyncMs(file).toFixed(2)} ms (median of 50)`
  ]
}

function versionOf (name: string): string {
  // Not every package exports its package.json.
  return (JSON.parse(readFileSync(join(import.meta.dirname, '../node_modules', name, 'package.json'), 'utf8')) as { version: string }).version
}

function fdatasyncMs (file: string): number {
  const descriptor = openSync(file, 'w')
  const block = Buffer.alloc(25_000, 1)
  try {
    return median(Array.from({ length: 50 }, () => {
      writeSync(descriptor, block)
      const began = performance.now()
      fdatasyncSync(descriptor)
      return performance.now() - began
    }))
  } finally {
    closeSync(descriptor)
    rmSync(file)
  }
}
