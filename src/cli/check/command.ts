import { randomInt } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { createLogicAppsEngine } from '../../testing/engine/engine.ts'
import { profiles, type ProfileName } from '../../testing/engine/profiles.ts'
import { exitCodes, UsageError, type Command, type CommandIo } from '../command.ts'
import { EventError, type Timing } from './bench.ts'
import { checkApi, defaultTiming } from './check.ts'
import { discoverOperations } from './discover.ts'
import { configFaults, mergeOperations, type CheckConfig, type OperationConfig } from './operations.ts'
import type { SwaggerDocument } from './probe-document.ts'
import { createProgress } from './progress.ts'
import { jsonReport, junitReport, summaryOf, textReport } from './report.ts'

const usage = `Usage: fastify-logic-apps check URL [OPTIONS]

Plays the Logic Apps engine against a running API, in whatever language it is written, and says rule by rule what a
workflow would meet. URL is the API's address, or that of its Swagger 2.0 document, which may also be a file.

  --config FILE          what to call, with which samples, and how an event is made to happen (JSON)
  --only NAME            only this operation; may be repeated
  --header 'NAME: VALUE' of every call; may be repeated
  --profile NAME         ${Object.keys(profiles).join(', ')} (consumption)
  --patience SECONDS     how long to wait for what must come (${defaultTiming.patienceSeconds})
  --quiet SECONDS        how long nothing must come before it counts as nothing (${defaultTiming.quietSeconds})
  --host ADDRESS         where callbacks are taken (127.0.0.1)
  --port NUMBER          (any free one)
  --origin URL           under which address the API reaches them, such as a tunnel's
  --json                 the report as JSON
  --junit FILE           the report for a build server, as well
  --strict               warnings are faults

Callbacks come by http to this machine: an API that guards against that must allow it while it is checked.
Exit codes: 0 no fault, 1 faults, 2 the check could not be made.
`

const options = {
  config: { type: 'string' },
  only: { type: 'string', multiple: true },
  header: { type: 'string', multiple: true },
  profile: { type: 'string', default: 'consumption' },
  patience: { type: 'string', default: String(defaultTiming.patienceSeconds) },
  quiet: { type: 'string', default: String(defaultTiming.quietSeconds) },
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '0' },
  origin: { type: 'string' },
  json: { type: 'boolean', default: false },
  junit: { type: 'string' },
  strict: { type: 'boolean', default: false }
} as const

export const check: Command = {
  summary: 'plays the Logic Apps engine against a running API',
  usage,
  async run (args, io) {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const [target, ...others] = positionals
    if (target === undefined || others.length > 0) throw new UsageError('give one URL, of the API or of its Swagger document; --help says more')
    if (!Object.hasOwn(profiles, values.profile)) throw new UsageError(`--profile must be one of ${Object.keys(profiles).join(', ')}`)
    const timing = { patienceSeconds: secondsOf(values.patience, '--patience'), quietSeconds: secondsOf(values.quiet, '--quiet') }
    const port = Number(values.port)
    if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UsageError('--port must be a port number')
    const plan = await planOf(target, values.config, values.header ?? [])
    for (const line of plan.leftOut) io.err(`${line}\n`)
    const operations = chosen(plan.operations, values.only ?? [])
    const verdicts = await runCheck({ ...plan, operations, timing, profile: values.profile as ProfileName, listen: { host: values.host, port, ...(values.origin === undefined ? {} : { origin: values.origin }) } }, io)
    if (values.junit !== undefined) await writeFile(values.junit, junitReport(verdicts))
    io.out(values.json ? jsonReport(target, verdicts) : textReport(target, verdicts))
    const { errors, warnings } = summaryOf(verdicts)
    return errors > 0 || (values.strict && warnings > 0) ? exitCodes.faults : exitCodes.fine
  }
}

interface Plan {
  baseUrl: string
  document: string | undefined
  operations: Record<string, OperationConfig>
  /** What of the document cannot be checked without the config's help, and why. */
  leftOut: string[]
}

interface Run extends Omit<Plan, 'leftOut'> {
  timing: Timing
  profile: ProfileName
  listen: { host: string, port: number, origin?: string }
}

async function runCheck ({ baseUrl, document, operations, timing, profile, listen }: Run, io: CommandIo): ReturnType<typeof checkApi> {
  // Ids of its own each time: an API that knows those of the check before would answer with the jobs it has.
  const engine = await createLogicAppsEngine({ baseUrl, profile, listen, seed: randomInt(2 ** 32) })
  const progress = createProgress(io)
  try {
    return await checkApi({ engine, operations, document, timing, onProgress: progress.say })
  } catch (error) {
    if (error instanceof EventError) throw new UsageError(error.message)
    throw error
  } finally {
    progress.end()
    await engine.close()
  }
}

/** What there is to check: from the document, where there is one, and from the config. */
async function planOf (target: string, configFile: string | undefined, headers: string[]): Promise<Plan> {
  const config = configFile === undefined ? {} : await readConfig(configFile)
  const own = Object.fromEntries(headers.map(headerOf))
  const merged = { ...config, ...(headers.length > 0 || config.headers !== undefined ? { headers: { ...config.headers, ...own } } : {}) }
  const { document, baseUrl, url } = await readTarget(target, config)
  const { operations, faults, leftOut } = mergeOperations(document === undefined ? { operations: {}, unsampled: [] } : discoverOperations(document, baseUrl), merged)
  if (faults.length > 0) throw new UsageError(`${faults.join('\n  ')}\nWrite it into the file that --config names, or leave an operation out with \`false\`.`)
  if (Object.keys(operations).length === 0) throw new UsageError('there is nothing to check: name the operations in the file that --config names, or give the URL of a Swagger 2.0 document')
  return { baseUrl, document: url, operations, leftOut }
}

async function readTarget (target: string, config: CheckConfig): Promise<{ document: SwaggerDocument | undefined, baseUrl: string, url: string | undefined }> {
  if (!isWholeUrl(target)) {
    const document = parseJson(await readText(target), target) as SwaggerDocument & { schemes?: string[], host?: string }
    const baseUrl = config.baseUrl ?? (document.host === undefined ? undefined : `${document.schemes?.[0] ?? 'https'}://${document.host}`)
    if (baseUrl === undefined) throw new UsageError(`${target} names no host: give baseUrl in the config`)
    return { document, baseUrl, url: undefined }
  }
  const base = target.replace(/\/+$/, '')
  const text = await fetchText(base)
  const document = text === undefined ? undefined : documentIn(text)
  // What the command line says goes before what the config says.
  if (document !== undefined) return { document, baseUrl: config.baseUrl ?? new URL(base).origin, url: base }
  const baseUrl = config.baseUrl ?? base
  if (config.swagger === undefined) return { document, baseUrl, url: undefined }
  const url = isWholeUrl(config.swagger) ? config.swagger : `${base}/${config.swagger.replace(/^\/+/, '')}`
  const named = await fetchText(url)
  // One that is named is checked, whatever is there; what is at the API's own address may be anything.
  return { document: named === undefined ? undefined : documentIn(named), baseUrl, url }
}

const isWholeUrl = (text: string): boolean => /^https?:\/\//i.test(text)

/** `undefined` where the API answers, but not with 200. */
async function fetchText (url: string): Promise<string | undefined> {
  let response: Response
  try {
    response = await fetch(url)
  } catch (error) {
    throw new UsageError(`${url} cannot be reached: ${((error as Error).cause as Error | undefined)?.message ?? (error as Error).message}`)
  }
  const text = await response.text()
  return response.ok ? text : undefined
}

function documentIn (text: string): SwaggerDocument | undefined {
  try {
    const parsed = JSON.parse(text) as SwaggerDocument | null
    return typeof parsed === 'object' && parsed?.paths !== undefined ? parsed : undefined
  } catch {
    // Whatever else an API has at its root.
    return undefined
  }
}

async function readConfig (file: string): Promise<CheckConfig> {
  const config = parseJson(await readText(file), file)
  const faults = configFaults(config)
  if (faults.length > 0) throw new UsageError(`${file}:\n  ${faults.join('\n  ')}`)
  return config as CheckConfig
}

async function readText (file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`)
  }
}

function parseJson (text: string, file: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new UsageError(`${file} is no JSON: ${(error as Error).message}`)
  }
}

function chosen (operations: Record<string, OperationConfig>, only: string[]): Record<string, OperationConfig> {
  const unknown = only.find((name) => !Object.hasOwn(operations, name))
  if (unknown !== undefined) throw new UsageError(`--only ${unknown}: there is no such operation; there are ${Object.keys(operations).join(', ')}`)
  return only.length === 0 ? operations : Object.fromEntries(only.map((name) => [name, operations[name]!]))
}

function headerOf (text: string): [string, string] {
  const [name, ...value] = text.split(':')
  if (value.length === 0) throw new UsageError(`--header must be 'NAME: VALUE'; got ${JSON.stringify(text)}`)
  return [name!.trim(), value.join(':').trim()]
}

function secondsOf (text: string, what: string): number {
  const seconds = Number(text)
  if (text.trim() === '' || !(seconds > 0)) throw new UsageError(`${what} must be a number of seconds; got ${JSON.stringify(text)}`)
  return seconds
}
