import { fork } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ConnectorDescription } from '../../connector/connector.ts'
import { UsageError, type CommandIo } from '../command.ts'
import type { LoadOptions } from './load-app.ts'

export type DescribeAnswer = ConnectorDescription | { fault: string }

/**
 * Describes the connector of an app, in a process of its own. What the app writes goes to stderr.
 *
 * @throws {UsageError} for an app that could not be made ready, with what it said.
 */
export async function describeApp (options: LoadOptions, { err, env }: Pick<CommandIo, 'err' | 'env'>): Promise<ConnectorDescription> {
  // As this file stands: .ts in the sources, .js in the package.
  const script = fileURLToPath(new URL(`describe-process${extname(import.meta.url)}`, import.meta.url))
  const child = fork(script, [JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], serialization: 'advanced', env })
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', err)
  let answer: DescribeAnswer | undefined
  child.once('message', (message) => { answer = message as DescribeAnswer })
  const [code, signal] = await once(child, 'close') as [number | null, string | null]
  if (answer === undefined) throw new UsageError(`${options.file}: the app ended before it was ready (${signal ?? `exit code ${code}`})`)
  if ('fault' in answer) throw new UsageError(answer.fault)
  return answer
}
