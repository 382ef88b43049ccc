import type { CallbackServer, ReceivedCallback } from './callback-server.ts'
import type { Exchange } from './caller.ts'
import type { Authentication } from './definitions.ts'
import type { Identity } from './identity.ts'
import type { Profile } from './profiles.ts'
import type { Quirks } from './quirks.ts'
import type { Unknowns } from './unknowns.ts'
import type { World } from './world.ts'

/** What everything that plays a part of the engine is made of. */
export interface EngineParts {
  world: World
  profile: Profile
  unknowns: Unknowns
  quirks: Quirks
  identity: Identity
  callbacks: CallbackServer
  /** Where callbacks arrive, in place of a host of the cloud. */
  callbackOrigin: string | undefined
  /** What a URI without a host is below. */
  baseUrl: string
  /** A token for an `authentication` that asks for one. */
  tokenFor: (authentication: Authentication) => string
  /** Told of every request and every callback. */
  onTraffic: (one: Exchange | ReceivedCallback) => void
  ledger: Ledger
}

/** What is still to come, and what should not have been: for `expectQuiet`. */
export interface Ledger {
  /** Something that is not over yet; `describe` says what it waits for. The returned function ends it. */
  open (describe: () => string): () => void
  complain (text: string): void
  openEntries (): string[]
  readonly complaints: readonly string[]
}

export function createLedger (): Ledger {
  const entries = new Set<() => string>()
  const complaints: string[] = []
  return {
    open (describe) {
      // Two may say the same: each is an entry of its own.
      const entry = (): string => describe()
      entries.add(entry)
      return () => { entries.delete(entry) }
    },
    complain (text) { complaints.push(text) },
    openEntries: () => [...entries].map((describe) => describe()),
    complaints
  }
}
