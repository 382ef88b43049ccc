import { test } from 'tap'
import { outcomeOf, retryAfterMsOf, type CallbackOutcome } from '../../src/callbacks/outcome.ts'

const of = (statusCode: number | null, text = ''): CallbackOutcome => outcomeOf({ statusCode, text, retryAfterMs: null, durationMs: 1 })

test('each status means one thing (engine 2.17, 2.18, rule 17)', async (t) => {
  const statuses: Record<CallbackOutcome, (number | null)[]> = {
    delivered: [200, 201, 202, 203, 204, 206, 299],
    again: [null, 408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 599, 600],
    retired: [404, 410],
    suspended: [401, 403],
    dead: [300, 301, 302, 303, 304, 307, 308, 399, 400, 402, 405, 406, 407, 409, 411, 412, 413, 414, 415, 422, 423, 424, 426, 428, 431, 451, 499, 100, 101, 199]
  }
  for (const [outcome, codes] of Object.entries(statuses)) for (const code of codes) t.equal(of(code), outcome, String(code))
})

test('a 400 suspends where it says that the workflow is disabled, else it is dead', async (t) => {
  const disabled = '{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"Could not execute workflow trigger \'manual\' of workflow \'cakes\' with state \'Disabled\'; trigger execution requires workflow to be enabled."}}'
  t.equal(of(400, disabled), 'suspended')
  t.equal(of(400, '{"error":{"code":"InvalidRequestContent"}}'), 'dead')
  t.equal(of(422, disabled), 'dead', 'the code alone says nothing')
  t.equal(of(200, disabled), 'delivered')
  t.equal(of(503, disabled), 'again')
})

test('Retry-After is seconds or a date, an hour at most', async (t) => {
  const now = Date.UTC(2026, 0, 1)
  const of = (header: string | string[] | undefined): number | null => retryAfterMsOf(header, now)
  t.equal(of('30'), 30_000)
  t.equal(of(' 30 '), 30_000)
  t.equal(of('3600'), 3_600_000)
  t.equal(of('3601'), 3_600_000)
  t.equal(of('999999999'), 3_600_000)
  t.equal(of('Thu, 01 Jan 2026 00:01:30 GMT'), 90_000)
  t.equal(of('Thu, 01 Jan 2026 02:00:00 GMT'), 3_600_000)
  t.equal(of('Fri, 31 Dec 9999 23:59:59 GMT'), 3_600_000)
  t.equal(of(['5', '70']), 5000)
  for (const none of [undefined, '', ' ', '0', '-5', 'soon', 'NaN', 'Infinity', '1e3x', 'Wed, 31 Dec 2025 23:59:59 GMT', 'Thu, 01 Jan 2026 00:00:00 GMT', []]) t.equal(of(none), null, String(none))
})
