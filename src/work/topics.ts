import { Compile } from 'typebox/schema'
import { InvalidEventError, InvalidOptionsError } from '../errors.ts'
import type { IdCodec } from '../protocol/token.ts'
import { createBatcher } from './batch.ts'
import type { Clock } from './clock.ts'
import type { HostTransaction, NewEvent, Store } from './store.ts'

/** A stream of events that triggers can be declared on. */
export interface Topic<Event = unknown> {
  readonly name: string
  /** JSON Schema of its events, if it has one. */
  readonly eventSchema: unknown
  /**
   * Resolves to the event's id when the event is on disk: from then on it reaches every subscription.
   *
   * @throws {InvalidEventError} when it does not fit the schema. @throws {StoreUnavailableError}
   */
  publish (event: Event): Promise<string>
  /**
   * Publishes with a transaction of yours on the database of `postgresStore`: rolled back, it never happened. `db` is the
   * client of `pg` that the transaction is on, or what an adapter of pg-boss makes of one of Kysely, Drizzle, Knex or Prisma.
   * The event has no id before your commit.
   *
   * @throws {InvalidEventError} @throws {InvalidOptionsError} when the store cannot.
   * @example await orders.publish({ orderId }, { db: client })
   */
  publish (event: Event, options: { db: HostTransaction }): Promise<void>
}

export interface TopicOptions<Schema = unknown> {
  /** JSON Schema of the events. Without one any JSON object goes that has no property `error`. */
  event?: Schema
}

export interface Topics {
  /** The topic of that name; the same one each time. @throws {InvalidOptionsError} */
  topic (name: string, options: TopicOptions): Topic
}

export interface TopicsParts {
  store: Store
  clock: Clock
  eventIds: IdCodec
  retentionMs: number
  /** How many entries a topic's log may have. */
  maxEvents?: number
  onPublished: () => void
}

export function createTopics ({ store, clock, eventIds, retentionMs, maxEvents, onPublished }: TopicsParts): Topics {
  const topics = new Map<string, Topic>()
  const append = createBatcher((events: NewEvent[]) => store.publish(events))

  function create (name: string, eventSchema: unknown): Topic {
    const validator = eventSchema === undefined ? undefined : Compile(eventSchema as object)
    return {
      name,
      eventSchema,
      publish: publish as Topic['publish']
    }

    async function publish (event: unknown, options?: { db: HostTransaction }): Promise<string | undefined> {
      const createdAt = clock.now()
      const made: NewEvent = { topic: name, body: toJson(event), createdAt, expiresAt: createdAt + retentionMs, maxEvents }
      if (options !== undefined) {
        await publishIn(made, options.db)
        return undefined
      }
      const number = await append(made)
      onPublished()
      return eventIds.encode({ number, createdAt })
    }

    async function publishIn (event: NewEvent, db: HostTransaction): Promise<void> {
      // Left out by mistake, it would publish what is then rolled back.
      if (typeof db !== 'object' || db === null || !('query' in db || 'executeSql' in db)) {
        throw new InvalidOptionsError(`topic "${name}": "db" of publish must be a client of pg, or what fromKysely, fromDrizzle, fromKnex or fromPrisma of pg-boss makes`)
      }
      if (store.publishIn === undefined) throw new InvalidOptionsError(`topic "${name}": this store has no database in common with you, so publish cannot take "db": use postgresStore`)
      await store.publishIn([event], db)
    }

    /** What is checked is what will be read: the event after its way through JSON. */
    function toJson (event: unknown): string {
      let body: string | undefined
      try {
        body = JSON.stringify(event)
      } catch (error) {
        throw new InvalidEventError(name, `is no JSON value: ${(error as Error).message}`, { cause: error })
      }
      // A callback's body, and an item of a polling trigger, is an object (rule 18).
      if (body?.startsWith('{') !== true) throw new InvalidEventError(name, 'is no JSON object')
      const plain = JSON.parse(body) as object
      if (Object.hasOwn(plain, 'error')) throw new InvalidEventError(name, 'has a property "error", which would say in a callback that something failed')
      const [fits, errors] = validator?.Errors(plain) ?? [true, []]
      if (!fits) throw new InvalidEventError(name, `does not fit its schema: ${errors.map(({ instancePath, message }) => `${instancePath || '/'} ${message}`).join('; ')}`)
      return body
    }
  }

  return {
    topic (name, { event }) {
      if (typeof name !== 'string' || name === '') throw new InvalidOptionsError('topic(name): the name must be a non-empty string, such as "orders"')
      const known = topics.get(name)
      if (known !== undefined) {
        if (event !== undefined && event !== known.eventSchema) throw new InvalidOptionsError(`topic "${name}" was made before with another schema: make it once and pass it on`)
        return known
      }
      const made = create(name, event)
      topics.set(name, made)
      return made
    }
  }
}
