/**
 * `npm test`: every check, one after another; stops at the first that fails. The last line printed is
 * `N passed, N failed`, counted from tap's assertions. JavaScript, so that a Node too old to strip types
 * gets an answer it can read.
 */
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const oldestNode = [22, 19]
const steps = [
  { script: 'lint' },
  { script: 'typecheck' },
  { script: 'typecheck:7' },
  { script: 'test:unit', args: ['--reporter=base'] },
  { script: 'test:types' },
  { script: 'build' },
  { script: 'test:bench' },
  // It packs what `build` has just made, instead of making it again.
  { script: 'test:package', env: { npm_config_ignore_scripts: 'true' } }
]

const counts = { pass: 0, fail: 0, skip: 0 }

console.log(`Node ${process.version}`)
let ok = isNewEnough(process.versions.node)
if (!ok) console.log(`Node ${oldestNode.join('.')} or later is needed. \`npm ci\` installs one, unless install scripts are off.`)

for (const { script, args = [], env = {} } of ok ? steps : []) {
  console.log(`\n== ${script}`)
  const startedAt = performance.now()
  let { succeeded, output } = await run(script, args, env)
  if (script === 'test:unit') {
    addCounts(output)
    succeeded &&= counts.pass > 0
  }
  console.log(`-- ${script} ${succeeded ? 'passed' : 'FAILED'} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  if (!succeeded) {
    ok = false
    break
  }
}

// Whatever failed, tap's own count may be zero: coverage, lint, types, package.
if (!ok) counts.fail = Math.max(1, counts.fail)
process.exitCode = counts.fail > 0 ? 1 : 0
console.log(`\n${counts.pass} passed, ${counts.fail} failed${counts.skip > 0 ? `, ${counts.skip} skipped` : ''}`)

function isNewEnough (version) {
  const [major, minor] = version.split('.').map(Number)
  return major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
}

/** Runs a script of package.json, showing its output and keeping it. CI keeps reporters from redrawing lines. */
function run (script, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--run', script, '--', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // Hundreds of processes load the same modules: they compile them once.
      env: { NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'), ...process.env, CI: 'true', ...env }
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      process.stdout.write(text)
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ succeeded: code === 0, output }))
  })
}

/** tap ends with `# { total: 12, pass: 10, fail: 1, skip: 1 }`; a count of zero is left out. */
function addCounts (output) {
  const summary = output.match(/^# \{ total: .*\}$/gm)?.at(-1) ?? ''
  const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  counts.pass += count('pass')
  counts.fail += count('fail')
  counts.skip += count('skip') + count('todo')
}
