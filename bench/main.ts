/* `npm run bench`: what durability and the contract cost, beside what one could take instead. `-- --help` says more. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine } from './machine.ts'
import type { Bench, Line, Row } from './row.ts'
import { acceptEmbedded, acceptPostgres } from './rows/accept.ts'
import { byHand } from './rows/by-hand.ts'
import { callbacks } from './rows/callbacks.ts'
import { footprint } from './rows/footprint.ts'
import { growth } from './rows/growth.ts'
import { idle } from './rows/idle.ts'
import { memory } from './rows/memory.ts'
import { pollEmbedded, pollPostgres } from './rows/poll.ts'
import { pollingTrigger } from './rows/polling-trigger.ts'
import { start } from './rows/start.ts'
import { acceptAndRun, drain, latency } from './rows/work.ts'
import { createServers } from './servers.ts'

const rows: Row[] = [acceptEmbedded, pollEmbedded, acceptPostgres, pollPostgres, acceptAndRun, drain, latency, callbacks, pollingTrigger, growth, memory, start, idle, footprint]
/** Measured where `--only` names them. */
const others: Row[] = [byHand]
const known = [...rows, ...others]

const help = `What durability and the contract cost, beside what one could take instead. Ratios are of interleaved rounds.

  npm run bench -- [OPTIONS]

  --only NAME     one row; several with commas
  --seconds N     how long a measurement takes (0.6)
  --rounds N      how often each is measured (5)
  --quick         a moment and small sizes for each: shows that the bench runs, and nothing else
  --json          the table as JSON on stdout

BENCH_CPU_PROF=FOLDER writes a CPU profile of every process that is measured.

Rows:
${known.map(({ name, about }) => `  ${name.padEnd(4)} ${about}${others.some((row) => row.name === name) ? ' (only with --only)' : ''}`).join('\n')}
`

async function main (): Promise<void> {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, seconds: { type: 'string', default: '0.6' }, rounds: { type: 'string', default: '5' }, quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } }
  })
  if (values.help === true) {
    console.log(help)
    return
  }
  const wanted = values.only?.split(',')
  const unknown = wanted?.filter((name) => !known.some((row) => row.name === name)) ?? []
  const [seconds, rounds] = values.quick ? [0.3, 1] : [Number(values.seconds), Number(values.rounds)]
  if (unknown.length > 0 || !(seconds > 0) || !Number.isInteger(rounds) || rounds < 1) {
    console.error(unknown.length > 0 ? `there is no row ${unknown.join(', ')}` : '--seconds and --rounds must be numbers above 0')
    process.exitCode = 2
    return
  }

  const folder = mkdtempSync(join(tmpdir(), 'logic-apps-bench-'))
  // PostgreSQL runs as a user of its own where this is root.
  chmodSync(folder, 0o755)
  let paths = 0
  const path = (name: string): string => join(folder, `${++paths}-${name}`)
  const fixed = new Map<string, string>()
  const servers = createServers((name) => {
    if (!fixed.has(name)) fixed.set(name, path(name))
    return fixed.get(name)!
  })
  const began = performance.now()
  const tell = (text: string): void => { console.error(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}`) }
  const machine = describeMachine(path('fdatasync'))
  for (const line of machine) tell(line)
  const chosen = wanted === undefined ? rows : known.filter(({ name }) => wanted.includes(name))
  const linesOf = new Map<Row, Line[]>()
  const secondsOf = new Map<Row, number>()
  try {
    const measure = async (row: Row): Promise<void> => {
      const begun = performance.now()
      tell(`row ${row.name}: ${row.about}`)
      const bench: Bench = {
        seconds,
        rounds,
        quick: values.quick,
        sized: (full, quick) => values.quick ? quick : full,
        progress: (text) => { tell(`  ${row.name}: ${text}`) },
        path,
        postgres: servers.postgres,
        redis: servers.redis
      }
      const measured = await row.run(bench)
      linesOf.set(row, measured)
      for (const line of measured) tell(`  ${row.name}: ${describe(line)}`)
      secondsOf.set(row, (performance.now() - begun) / 1000)
    }
    for (const row of chosen.filter(({ isUntimed }) => isUntimed !== true)) await measure(row)
    await Promise.all(chosen.filter(({ isUntimed }) => isUntimed === true).map(measure))
  } finally {
    await servers.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  tell(`seconds of each row: ${chosen.map((row) => `${row.name}: ${secondsOf.get(row)!.toFixed(0)}${row.isUntimed === true ? ' (at once)' : ''}`).join(', ')}`)
  const lines = chosen.flatMap((row) => linesOf.get(row) ?? [])
  const minutes = ((performance.now() - began) / 60_000).toFixed(1)
  if (values.json) console.log(JSON.stringify({ machine, minutes, quick: values.quick, lines }, null, 2))
  else console.log(tableOf(lines, machine, minutes, values.quick))
}

const ratioOf = ({ ratio }: Line): string => ratio === undefined ? '-' : `${ratio.ratio.toFixed(2)} (${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)})`
const describe = (line: Line): string => `${line.measured}: ${line.ours}, beside ${line.beside} ${line.theirs}, ratio ${ratioOf(line)}, target ${line.target}: ${line.met ? 'met' : 'MISSED'}`

function tableOf (lines: Line[], machine: string[], minutes: string, quick: boolean): string {
  return [
    ...machine.map((line) => `- ${line}`),
    `- ${minutes} minutes${quick ? ', a quick run: its figures mean nothing' : ''}`,
    '',
    '| # | measured | ours | beside | theirs | ratio, and its spread | target | met |',
    '|---|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line.row} | ${line.measured} | ${line.ours} | ${line.beside} | ${line.theirs} | ${ratioOf(line)} | ${line.target} | ${line.met ? 'yes' : '**no**'} |`)
  ].join('\n')
}

await main()
