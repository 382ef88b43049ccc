import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { InvalidDatabaseError, InvalidOptionsError, InvalidTriggerStateError, StoreUnavailableError, TriggerStateTooLargeError } from '../errors.ts'
import { maxUrlLength, stateParameter, triggerUrl } from '../protocol/trigger-url.ts'
import { generatedRoute } from './generated-route.ts'
import type { OperationParts } from './job-operation.ts'
import { toMs } from './job-options.ts'
import { createPollSource } from './poll-source.ts'
import { createSchemaCodec, type SchemaCodec } from './schema-codec.ts'
import { createTopicSource } from './topic-source.ts'
import { answerItems, answerNothingNew, type TriggerAnswerParts, type TriggerItem } from './trigger-answer.ts'
import { isTopicTrigger, triggerRouteOf, triggerSettings, type GivenTrigger, type HostTrigger, type TriggerSettings } from './trigger-options.ts'
import { takeStateOut, triggerRequestOf, type TriggerRequest } from './trigger-request.ts'
import type { TriggerPoll, TriggerSource } from './trigger-source.ts'
import type { OperationSchema } from './types.ts'

/** `app.pollingTrigger`: a GET that is answered 202 while there is nothing new, and 200 with what is. What was seen stands in `Location`. */
export function addPollingTrigger (instance: FastifyInstance, path: string, options: GivenTrigger, parts: OperationParts): void {
  const settings = triggerSettings(options, path)
  const { mode } = settings
  const { operationId } = options.schema
  const route = triggerRouteOf(options)
  const item: unknown = isTopicTrigger(options) ? options.topic.eventSchema : options.item
  parts.registry.declare(operationId, `GET ${instance.prefix}${path}`)
  parts.describe(operationId, { kind: 'pollingTrigger', mode, item })
  const source = isTopicTrigger(options)
    ? createTopicSource({ ...options, scanLimit: settings.scanLimit }, parts.topicLog)
    : createHostSource(instance, path, options, settings, parts)
  const answerParts: TriggerAnswerParts = { mode, retryAfterSeconds: settings.retryAfterSeconds, ownRetryAfterSeconds: options.retryAfterSeconds }
  const trackingIdOf = options.clientTrackingId as ((item: unknown) => unknown) | undefined

  async function answer (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    if (request.validationError !== undefined) throw request.validationError
    const asked = triggerRequestOf(request, operationId)
    const baseUrl = parts.baseUrls(request)('poll')
    const locationOf = (state: unknown, sealed?: string): string => urlOf(baseUrl, asked.target, sealed ?? parts.triggerStates.seal(asked.place, state), operationId)
    const { query, params, log } = request
    const began = parts.clock.monotonic()
    const leftOf = (ms: number): number => Math.max(began + ms - parts.clock.monotonic(), 0)
    const poll: TriggerPoll = { query, params, log, limit: mode === 'single' ? 1 : settings.maxItems, leftOf, caller: callerOf(reply) }

    const known = await knownState(asked, poll)
    // Nothing that was there before counts as new (engine 3.6, 3.7, rule 9).
    if (known === undefined) return answerNothingNew(reply, locationOf(await source.start(poll)), answerParts)
    const reading = await readIfReachable(known.state, poll)
    const location = locationOf(reading.state, reading.state === known.state ? known.sealed : undefined)
    if (reading.items.length === 0) return answerNothingNew(reply, location, answerParts)
    if (mode === 'single') setTrackingId(reply, reading.items[0]!, poll)
    return answerItems(reply, location, reading, answerParts)
  }

  /**
   * The state, and what it is sealed as where that is known; `undefined` at first contact.
   *
   * @throws {InvalidTriggerStateError} for a state that is not of this trigger.
   */
  async function knownState ({ target: { states: [text, another] }, place }: TriggerRequest, poll: TriggerPoll): Promise<{ state: unknown, sealed: string | undefined } | undefined> {
    if (text === undefined) return undefined
    if (another !== undefined) return refuse('it was given more than once', poll)
    const opened = parts.triggerStates.open(text, place)
    if (opened === undefined) return refuse('it was changed, or is of another trigger or secret', poll)
    const accepted = await source.accept(opened.state, poll)
    if ('fault' in accepted) return refuse(accepted.fault, poll)
    return { state: accepted.state, sealed: opened.isCurrent && accepted.state === opened.state ? text : undefined }
  }

  function refuse (fault: string, { log }: TriggerPoll): never {
    log.warn({ operationId, fault }, 'a poll with an invalid triggerState is refused, and so will be those that follow: save the workflow again, so that it begins anew. After a change of `secret`, put the old one second in its list')
    throw new InvalidTriggerStateError()
  }

  /** While the store is away nothing new can be known, and nothing is lost by waiting (design 3.5). */
  async function readIfReachable (state: unknown, poll: TriggerPoll): ReturnType<TriggerSource['read']> {
    try {
      return await source.read(state, poll)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError || error instanceof InvalidDatabaseError)) throw error
      poll.log.warn({ err: error, operationId }, 'the store is away; a poll is asked to wait')
      return { items: [], state, more: false }
    }
  }

  /** The item is worth more than its name: one that cannot be sent is left out. */
  function setTrackingId (reply: FastifyReply, item: TriggerItem, { log }: TriggerPoll): void {
    if (trackingIdOf === undefined) return
    try {
      const id = trackingIdOf(item.value())
      if (id === undefined) return
      if (typeof id !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(id)) throw new TypeError('a tracking id must be 1 to 200 printable ASCII characters without spaces')
      reply.header('x-ms-client-tracking-id', id)
    } catch (error) {
      log.warn({ err: error, operationId }, 'clientTrackingId failed: the item is sent without one')
    }
  }

  instance.route({
    ...generatedRoute({ operationId, role: 'poll' }, { ...route, onRequest: [takeStateOut(operationId), ...[route.onRequest ?? []].flat()] }),
    method: 'GET',
    url: path,
    schema: triggerSchema(instance, options.schema, mode, item),
    handler: answer
  })
}

function createHostSource (instance: FastifyInstance, path: string, options: HostTrigger, { timeoutSeconds }: TriggerSettings, { registry, polls }: OperationParts): TriggerSource {
  const { state, item, start, poll, upgradeState, validatorCompiler, serializerCompiler } = options
  const { operationId } = options.schema
  let codecs: { state: SchemaCodec, item: SchemaCodec }
  registry.whenComplete(() => {
    const compile = (schema: unknown, what: string): SchemaCodec =>
      createSchemaCodec(instance, { schema, url: path, what: `${what} of ${operationId}`, validatorCompiler, serializerCompiler })
    codecs = { state: compile(state, 'state'), item: compile(item, 'item') }
  })
  return createPollSource({
    operationId,
    start: start as (context: object) => unknown,
    poll: poll as (context: object) => unknown,
    upgradeState,
    timeoutMs: toMs(timeoutSeconds),
    codecs: () => codecs
  }, polls)
}

/** @throws {TriggerStateTooLargeError} */
function urlOf (baseUrl: string, target: TriggerRequest['target'], sealed: string, operationId: string): string {
  const url = triggerUrl(baseUrl, target, sealed)
  if (url.length <= maxUrlLength) return url
  throw new TriggerStateTooLargeError(`the next poll of ${operationId} would need a URL of ${url.length} characters, ${sealed.length} of them for the state, where ${maxUrlLength} are allowed: keep less in the state, such as a time and an id, or shorten the query`)
}

/** Aborts when the connection closes before the answer is out. */
function callerOf ({ raw }: FastifyReply): () => AbortSignal {
  let controller: AbortController | undefined
  const leave = (): void => { if (!raw.writableFinished) controller!.abort(new Error('the caller left before it was answered')) }
  return () => {
    if (controller !== undefined) return controller.signal
    controller = new AbortController()
    if (raw.destroyed) leave()
    else raw.once('close', leave)
    return controller.signal
  }
}

const stateSchema = { type: 'string', title: 'Trigger state', description: 'How far the caller has come. It stands in the Location that the poll before was answered with: leave it alone.' }

/** The route's schema, with the state among the query parameters and what is answered, where both are plain JSON Schema. */
function triggerSchema (instance: FastifyInstance, schema: OperationSchema, mode: 'batch' | 'single', item: unknown): OperationSchema {
  const itemSchema = item ?? { type: 'object', additionalProperties: true }
  const isPlain = instance.validatorCompiler === undefined && instance.serializerCompiler === undefined
  const ok = mode === 'single' ? itemSchema : { type: 'object', properties: { value: { type: 'array', items: itemSchema } }, required: ['value'] }
  return {
    ...schema,
    querystring: isPlain ? withState(schema) : schema.querystring,
    response: { ...(isPlain ? { 200: ok } : {}), ...schema.response as object | undefined }
  }
}

function withState ({ querystring, operationId }: OperationSchema): unknown {
  const { type = 'object', properties, required, $ref, ...rest } = (querystring ?? {}) as Record<string, unknown>
  if (Array.isArray(required) && required.includes(stateParameter)) throw new InvalidOptionsError(`${operationId}: schema.querystring must not require ${stateParameter}: nobody has one at first`)
  // What a reference comes to is not known here, and need not be: the state is taken out before the query is checked.
  if (type !== 'object' || $ref !== undefined) return querystring
  return { ...rest, type, properties: { ...properties as object, [stateParameter]: { ...stateSchema, ...(properties as Record<string, object> | undefined)?.[stateParameter] } }, ...(required === undefined ? {} : { required }) }
}
