import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { createBundle, defaultBrandColor } from '../../connector/bundle/bundle.ts'
import { describeFinding } from '../../connector/lint/finding.ts'
import { lintDocument } from '../../connector/lint/lint.ts'
import { parseBaseUrl } from '../../protocol/location.ts'
import { exitCodes, UsageError, type Command } from '../command.ts'
import { describeApp } from './describe-app.ts'
import { compareBundle, writeBundle } from './files.ts'

const usage = `Usage: fastify-logic-apps export --app FILE [OPTIONS]

Writes the connector of an app: the Swagger 2.0 document, connection parameters and an icon for paconn and pac, a Bicep
template for Azure, and for each operation workflows that call it, ready to be pasted. The app is made ready, in a process
of its own; its store is not opened, no job runs, and nothing listens.

  --app FILE            a module whose default export is a plugin, as fastify-cli takes it, or a function that makes the
                        app; or one that makes the app when it is loaded
  --export NAME         another export than the default
  --out FOLDER          where the files go (connector)
  --base-url URL        the address that callers use (the app's own)
  --title TITLE         of an app with several connectors, the one with this title
  --icon FILE           a PNG of your own
  --brand-color COLOR   (${defaultBrandColor})
  --client-id ID        OAuth 2: the id that is registered with the identity provider
  --resource-uri URI    Entra ID: what tokens are asked for (that of the scopes)
  --check               write nothing: tell what is not as it would be written

Exit codes: 0 written, or all as it would be; 1 with --check, something is not; 2 the connector could not be made.
`

const options = {
  app: { type: 'string' },
  export: { type: 'string' },
  out: { type: 'string', default: 'connector' },
  'base-url': { type: 'string' },
  title: { type: 'string' },
  icon: { type: 'string' },
  'brand-color': { type: 'string', default: defaultBrandColor },
  'client-id': { type: 'string' },
  'resource-uri': { type: 'string' },
  check: { type: 'boolean', default: false }
} as const

export const exportConnector: Command = {
  summary: 'writes the connector of an app, with workflows that call it',
  usage,
  async run (args, io) {
    const { values } = parseArgs({ args, options })
    if (values.app === undefined) throw new UsageError('--app is missing: name the module of the app; --help says more')
    const { document, patterns } = await describeApp({ file: resolve(values.app), exported: values.export, baseUrl: addressOf(values['base-url']), title: values.title }, io)
    for (const finding of lintDocument(document)) io.err(`${finding.severity}: ${describeFinding(finding)}\n`)
    const icon = values.icon === undefined ? undefined : await iconOf(values.icon)
    const files = createBundle(document, {
      patterns,
      brandColor: values['brand-color'],
      ...(icon === undefined ? {} : { icon }),
      ...(values['client-id'] === undefined ? {} : { clientId: values['client-id'] }),
      ...(values['resource-uri'] === undefined ? {} : { resourceUri: values['resource-uri'] })
    })
    const folder = resolve(values.out)
    if (values.check) {
      const differences = await compareBundle(folder, files)
      for (const difference of differences) io.out(`${difference}\n`)
      return differences.length > 0 ? exitCodes.faults : exitCodes.fine
    }
    for (const line of await writeBundle(folder, files)) io.out(`${line}\n`)
    return exitCodes.fine
  }
}

function addressOf (baseUrl: string | undefined): string | undefined {
  if (baseUrl === undefined) return undefined
  try {
    return parseBaseUrl(baseUrl, '--base-url')
  } catch (error) {
    throw new UsageError((error as TypeError).message, { cause: error })
  }
}

const pngSignature = Buffer.from('89504e470d0a1a0a', 'hex')

async function iconOf (file: string): Promise<Uint8Array> {
  const icon = await readFile(file).catch((error: Error) => { throw new UsageError(`--icon: ${file} cannot be read: ${error.message}`) })
  if (!icon.subarray(0, 8).equals(pngSignature)) throw new UsageError(`--icon: ${file} is no PNG`)
  return icon
}
