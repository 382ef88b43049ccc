import diagnostics from 'node:diagnostics_channel'
import { createRequire } from 'node:module'
import { Server } from 'node:net'
import { pathToFileURL } from 'node:url'
import type { ConnectorDescription } from '../../connector/connector.ts'
import { describeOnly, type DescribedConnector } from '../../describing.ts'
import { UsageError } from '../command.ts'

/** As much of a Fastify instance as it takes. */
interface App {
  ready (): PromiseLike<unknown>
  close (): PromiseLike<unknown>
  register (plugin: unknown, options: object): unknown
  listen: unknown
}

export interface LoadOptions {
  file: string
  /** Of the module's exports, the one that is or makes the app. @default the default export, or none where the module makes the app itself */
  exported?: string | undefined
  /** The address that callers use. @default the app's own */
  baseUrl?: string | undefined
  /** Of the connectors of an app with several: the title. */
  title?: string | undefined
}

export interface LoadedConnector extends ConnectorDescription {
  /** What closes the apps again. */
  close (): Promise<void>
}

/**
 * Makes an app ready without opening a store, running a job or listening, and describes its connector. It changes how
 * Fastify, servers and our plugin behave in this process: it is for one that ends afterwards.
 *
 * @throws {UsageError} for a module that is none of what it can be.
 */
export async function loadConnector ({ file, exported, baseUrl, title }: LoadOptions): Promise<LoadedConnector> {
  const connectors: DescribedConnector[] = []
  describeOnly((connector) => { connectors.push(connector) })
  // All Fastify instances of the process tell of themselves, whatever the module exports, and whichever copy they are of.
  const apps: App[] = []
  const onApp = (message: unknown): void => {
    const { fastify } = message as { fastify: App }
    apps.push(keptFromListening(fastify))
  }
  diagnostics.subscribe('fastify.initialization', onApp)
  keepServersClosed()

  await makeApp(file, exported)
  // Connectors make a Fastify of their own, when they get ready.
  diagnostics.unsubscribe('fastify.initialization', onApp)
  for (const app of apps) await app.ready()
  return {
    ...chosen(connectors.map((describe) => describe(baseUrl)), title, file),
    async close () { for (const app of apps) await app.close() }
  }
}

function chosen (all: ConnectorDescription[], title: string | undefined, file: string): ConnectorDescription {
  if (all.length === 0) throw new UsageError(`${file}: no app in it has registered fastify-logic-apps`)
  const titles = all.map(({ document }) => document.info.title)
  if (title === undefined && all.length > 1) throw new UsageError(`${file}: it has ${all.length} connectors: name the one with --title, of ${titles.join(', ')}`)
  const found = title === undefined ? all[0] : all.find(({ document }) => document.info.title === title)
  if (found === undefined) throw new UsageError(`${file}: no connector has the title ${JSON.stringify(title)}; there are ${titles.join(', ')}`)
  return found
}

/** Imports the module, and where that makes no app, does what its export is for. */
async function makeApp (file: string, exported: string | undefined): Promise<void> {
  const module = await import(pathToFileURL(file).href) as Record<string, unknown>
  const name = exported ?? 'default'
  const { [name]: found } = module
  if (exported !== undefined && found === undefined) throw new UsageError(`${file}: it exports no "${exported}"; there are ${Object.keys(module).join(', ') || 'none'}`)
  if (typeof found !== 'function') return
  // A function of nothing makes an app; any other is a plugin, as fastify-cli takes it.
  if (found.length === 0) {
    await (found as () => unknown)()
    return
  }
  const { options = (found as { options?: unknown }).options } = module
  const Fastify = createRequire(file)('fastify') as (options: object) => App
  Fastify(typeof options === 'object' && options !== null ? options : {}).register(found, {})
}

/** An app that listens when its module is loaded only gets ready. */
function keptFromListening (app: App): App {
  const address = 'http://127.0.0.1:0'
  app.listen = (...given: unknown[]): Promise<string> | undefined => {
    const callback = given.at(-1)
    const ready = Promise.resolve(app.ready())
    if (typeof callback !== 'function') return ready.then(() => address)
    ready.then(() => { callback(null, address) }, (error: unknown) => { callback(error) })
    return undefined
  }
  return app
}

/** Nor does any other server that comes with the app, such as one for metrics. */
function keepServersClosed (): void {
  Server.prototype.listen = function (this: Server, ...given: unknown[]) {
    const callback = given.at(-1)
    if (typeof callback === 'function') this.once('listening', callback as () => void)
    setImmediate(() => { this.emit('listening') })
    return this
  }
}
