import { PollFailedError } from '../errors.ts'
import { verdictOf } from '../work/event-filter.ts'
import { errorOf } from '../work/log-thrown.ts'
import type { LogPlace, TopicLog } from '../work/topic-log.ts'
import type { Reading } from './trigger-answer.ts'
import type { TriggerPoll, TriggerSource } from './trigger-source.ts'
import type { OperationSchema, TopicTriggerOptions } from './types.ts'

type Options = TopicTriggerOptions<OperationSchema, unknown, unknown> & { scanLimit: number }

/** A cursor over the log of a topic. Its state is the number of an event, and a time: see `LogPlace`. */
export function createTopicSource ({ schema: { operationId }, topic, matches, startFrom = 'now', maxAgeSeconds, scanLimit, onGap }: Options, topicLog: TopicLog): TriggerSource {
  const maxAgeMs = maxAgeSeconds === undefined ? undefined : Math.round(maxAgeSeconds * 1000)

  /** It is not known whether an event is wanted whose filter fails. To pass it over would lose it. */
  function wants (event: unknown, number: number, query: unknown): boolean {
    try {
      return verdictOf(matches!(event, query))
    } catch (thrown) {
      throw new PollFailedError(operationId, `matches failed for event ${number} of topic "${topic.name}"; no event is passed over until it is mended`, { cause: errorOf(thrown) })
    }
  }

  function report (reason: 'forgotten' | 'restored', { query, log }: TriggerPoll): void {
    log.warn({ operationId, topic: topic.name, reason }, reason === 'forgotten'
      ? 'a poll came after events had left the log: it goes on with the oldest there. Raise logRetentionSeconds or logMaxEvents if that must not happen'
      : 'a poll was further than the log, which was restored or made anew: it goes on with what is new since')
    // An async hook is the host's own to wait for, but its failure must not fail the poll.
    Promise.resolve({ operationId, topic: topic.name, query, reason }).then(onGap).catch((error: unknown) => { log.error({ err: error, operationId }, 'onGap failed') })
  }

  return {
    async start () {
      return stateOf(await topicLog.begin(topic.name, startFrom))
    },
    accept: (state) => placeOf(state) === undefined ? { fault: 'it holds no place in a log' } : { state },
    async read (state, poll): Promise<Reading> {
      const place = placeOf(state)!
      const { entries, place: next, more, gap } = await topicLog.read({
        topic: topic.name,
        place,
        limit: poll.limit,
        scanLimit,
        maxAgeMs,
        wants: matches === undefined ? undefined : (event, number) => wants(event, number, poll.query)
      })
      if (gap !== undefined) report(gap, poll)
      return {
        items: entries.map(({ body }) => ({ text: body, value: () => JSON.parse(body) as unknown })),
        state: next === place ? state : stateOf(next),
        more
      }
    }
  }
}

/** Short: it travels in a URL. */
const stateOf = ({ number, at }: LogPlace): [number, number] => [number, at]

function placeOf (state: unknown): LogPlace | undefined {
  if (!Array.isArray(state) || state.length !== 2 || !state.every((part) => Number.isSafeInteger(part))) return undefined
  const [number, at] = state as [number, number]
  return { number, at }
}
