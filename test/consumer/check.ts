/**
 * What a user gets: packs the built package, unpacks it in a project of its own, compiles a TypeScript app against
 * its declarations and runs plain JavaScript apps, ESM and CommonJS. Run `npm run build` first. Needs no network:
 * what the package declares as its own is linked from this repository, and nothing else is.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const app = fileURLToPath(new URL('app', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const project = mkdtempSync(join(tmpdir(), 'fastify-logic-apps-consumer-'))

try {
  cpSync(app, project, { recursive: true })
  installPacked()
  for (const name of [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies), '@types/node']) link(name)

  for (const typescript of ['typescript', 'typescript-7']) {
    step(`compile with ${typescript} ${versionOf(typescript)}`, join(root, 'node_modules', typescript, 'bin/tsc'), '-p', '.')
  }
  step('run as ESM', 'esm.mjs')
  step('run as CommonJS', 'commonjs.cjs')
  for (const [name, file] of Object.entries<string>(manifest.bin)) step(`run the command ${name}`, join('node_modules', manifest.name, file), '--help')
} finally {
  rmSync(project, { recursive: true, force: true })
}

/** Puts the tarball that would be published into the project. */
function installPacked (): void {
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('dist is missing: run `npm run build` first.')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const packed = execFileSync(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32'
  })
  // An array up to npm 11, an object by package name later.
  const [tarball] = Object.values<{ filename: string }>(JSON.parse(packed))
  execFileSync('tar', ['-xzf', tarball!.filename], { cwd: project })
  mkdirSync(join(project, 'node_modules'))
  renameSync(join(project, 'package'), join(project, 'node_modules', manifest.name))
}

function link (name: string): void {
  const path = join(project, 'node_modules', name)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(root, 'node_modules', name), path, 'junction')
}

function versionOf (name: string): string {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version
}

function step (title: string, ...args: string[]): void {
  console.log(`consumer: ${title}`)
  execFileSync(process.execPath, args, { cwd: project, stdio: 'inherit' })
}
