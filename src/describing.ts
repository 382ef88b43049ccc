import type { ConnectorDescription } from './connector/connector.ts'
import { StoreUnavailableError } from './errors.ts'
import type { Store } from './work/store.ts'

/** A connector of an app that is only described, once the app is ready. */
export type DescribedConnector = (baseUrl: string | undefined) => ConnectorDescription

/** Shared by all copies of this package in a process: the command may be another one than the app's own. */
const kDescribing = Symbol.for('fastify-logic-apps.describing')

type Holder = { [kDescribing]?: (connector: DescribedConnector) => void }

/**
 * From now on apps of this process are made to be described: their plugins open no store and start no runners, and tell of
 * their connectors here. For a process that does nothing else, since apps cannot tell for whom they are made.
 *
 * @returns what ends it.
 */
export function describeOnly (found: (connector: DescribedConnector) => void): () => void {
  const holder = globalThis as Holder
  holder[kDescribing] = found
  return () => { delete holder[kDescribing] }
}

/** Whom to tell of a connector, where the app is only described. */
export function describing (): ((connector: DescribedConnector) => void) | undefined {
  return (globalThis as Holder)[kDescribing]
}

/** Takes the place of the host's store: opens, reads and writes nothing, and needs no secret. */
export function unopenedStore (): Store {
  const own: Partial<Store> = {
    open: async () => ({ idKey: Buffer.alloc(16), localSecret: async () => Buffer.alloc(32) }),
    close: async () => {}
  }
  const refuse = async (): Promise<never> => {
    throw new StoreUnavailableError('the app is only described here, and its store is not open: do this work when the app listens, in an onListen hook')
  }
  return new Proxy(own as Store, { get: (store, name) => store[name as keyof Store] ?? refuse })
}
