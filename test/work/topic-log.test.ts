import { test } from 'tap'
import { createManualClock } from '../../src/testing/index.ts'
import type { LogPage, LogRequest } from '../../src/work/store.ts'
import { createTopicLog, type LogReadRequest } from '../../src/work/topic-log.ts'

const request: LogReadRequest = { topic: 'oven', place: { number: 7, at: 0 }, limit: 10, scanLimit: 100, maxAgeMs: undefined, wants: undefined }

test('those who wait at the same place share one read, and others have their own', async (t) => {
  const asked: LogRequest[][] = []
  const store = {
    async readLog (requests: LogRequest[]): Promise<LogPage[]> {
      asked.push(requests)
      return requests.map(({ topic, after, limit }) => ({ entries: [{ number: after + 1, reachedAt: 0, body: JSON.stringify([topic, after, limit]) }], from: after, missed: false, last: 99 }))
    }
  }
  const log = createTopicLog({ store, clock: createManualClock() })
  const readings = await Promise.all([
    log.read(request),
    log.read({ ...request, place: { number: 8, at: 0 } }),
    log.read(request),
    log.read({ ...request, limit: 5 }),
    log.read({ ...request, topic: 'oven 7' }),
    log.read({ ...request, maxAgeMs: 1000 }),
    log.read(request)
  ])
  t.equal(asked.length, 1)
  t.equal(asked[0]!.length, 5)
  t.same(readings.map(({ entries: [entry] }) => JSON.parse(entry!.body) as unknown), [
    ['oven', 7, 11], ['oven', 8, 11], ['oven', 7, 11], ['oven', 7, 6], ['oven 7', 7, 11], ['oven', 7, 11], ['oven', 7, 11]
  ])
})
