/**
 * `npm test`: every check; begins none after the first that fails. The last line printed is
 * `N passed, N failed`, counted from tap's assertions. JavaScript, so that a Node too old to strip types
 * gets an answer it can read.
 */
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const oldestNode = [22, 19]
/** One after another. In each, rows of scripts that run side by side where none disturbs another. */
const stages = [
  [
    [{ script: 'lint' }, { script: 'test:types' }],
    [{ script: 'typecheck' }, { script: 'typecheck:7' }, { script: 'build' }]
  ],
  [
    // As many at once as the machine can take by itself.
    [{ script: 'test:unit', args: ['--reporter=base'] }]
  ],
  [
    [{ script: 'test:bench' }],
    // It packs what `build` has made, instead of making it again.
    [{ script: 'test:package', env: { npm_config_ignore_scripts: 'true' } }]
  ]
]

const counts = { pass: 0, fail: 0, skip: 0 }

console.log(`Node ${process.version}`)
let ok = isNewEnough(process.versions.node)
if (!ok) console.log(`Node ${oldestNode.join('.')} or later is needed. \`npm ci\` installs one, unless install scripts are off.`)

for (const rows of stages) {
  await Promise.all(rows.map(async (row) => {
    for (const step of row) {
      // What runs beside one that failed comes to its end.
      if (ok) await check(step, rows.length === 1)
    }
  }))
}

// Whatever failed, tap's own count may be zero: coverage, lint, types, package.
if (!ok) counts.fail = Math.max(1, counts.fail)
process.exitCode = counts.fail > 0 ? 1 : 0
console.log(`\n${counts.pass} passed, ${counts.fail} failed${counts.skip > 0 ? `, ${counts.skip} skipped` : ''}`)

function isNewEnough (version) {
  const [major, minor] = version.split('.').map(Number)
  return major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
}

/** Runs one script. Of what runs beside others, the output is shown when it is complete. */
async function check ({ script, args = [], env = {} }, isAlone) {
  const startedAt = performance.now()
  const title = `\n== ${script}\n`
  if (isAlone) process.stdout.write(title)
  let { succeeded, output } = await run(script, args, env, isAlone)
  if (!isAlone) process.stdout.write(title + output)
  if (script === 'test:unit') {
    addCounts(output)
    succeeded &&= counts.pass > 0
  }
  console.log(`-- ${script} ${succeeded ? 'passed' : 'FAILED'} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  ok &&= succeeded
}

/** Runs a script of package.json and keeps its output. CI keeps reporters from redrawing lines. */
function run (script, args, env, isShown) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--run', script, '--', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Hundreds of processes load the same modules: they compile them once.
      env: { NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'), ...process.env, CI: 'true', ...env }
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
        if (isShown) process.stdout.write(text)
      })
    }
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
