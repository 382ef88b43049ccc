/** What kind of operation a rule is about. */
export type OperationKind = 'async-action' | 'webhook-action' | 'webhook-trigger' | 'polling-trigger' | 'document'

export interface Rule {
  /** What must be so. */
  title: string
  /** What happens in a workflow when it is not. */
  why: string
  /** Whose word it is. Numbers are of the engine's notes. */
  source: string
  kinds: readonly OperationKind[]
  /** A warning does not fail the check. @default 'error' */
  severity?: 'error' | 'warning'
}

const action = ['async-action'] as const
const webhooks = ['webhook-action', 'webhook-trigger'] as const
const hookAction = ['webhook-action'] as const
const hookTrigger = ['webhook-trigger'] as const
const polling = ['polling-trigger'] as const
const calls = ['async-action', ...webhooks, ...polling] as const
const documents = ['document'] as const

export const rules = {
  // Of every call.
  'request-accepted': { title: 'The request is taken as the engine sends it', why: 'The engine writes `application/json; charset=utf-8`, sends no Accept header and headers of its own; an API that refuses these refuses every workflow.', source: 'engine 1.25, 5.2', kinds: calls },
  'headers-optional': { title: 'The request is taken without the engine\'s own headers', why: 'An author can switch them off (SuppressWorkflowHeaders). Webhooks keep two, by which a subscription may be known.', source: 'engine 5.6; WDL-REF', kinds: calls },
  'answers-in-time': { title: 'Every call is answered before the engine\'s time limit', why: 'An answer after 120 seconds is lost and the request is sent again, up to five times.', source: 'engine 1.15, 6.8, rule 2; LIMITS, LA#1483', kinds: calls },
  'no-redirect': { title: 'No call is redirected', why: 'The engine follows no redirect: the 3xx is the result.', source: 'engine 1.14; SDKTEST', kinds: calls },
  'no-partial-content': { title: 'Nothing is answered 206', why: 'The engine then asks for the remaining ranges by itself, and every one of them must work.', source: 'engine 7.4; CHUNK-DOC', kinds: calls },
  'content-type-matches': { title: 'The content type is that of the body', why: 'JSON that is none fails the action, even at status 200; JSON under another type arrives as text or base64.', source: 'engine 1.27, rule 19; HTTP-DOC', kinds: calls },
  'refusal-is-4xx': { title: 'Wrong input is refused with a 4xx that is not retried', why: '408, 429 and 5xx are sent again: a mistake in the workflow then shows after minutes, five times.', source: 'engine 6.2; WDL-REF', kinds: ['async-action', ...webhooks] },

  // Of asynchronous actions.
  'location-present': { title: 'A 202 has a Location', why: 'Without it the action ends with the 202 or waits for ever.', source: 'engine 1.10, rule 6; HTTP-DOC', kinds: action },
  'location-absolute': { title: 'Location is an absolute URL', why: 'The engine polls it as it stands.', source: 'engine 1.3, rule 5; CREATE-API', kinds: ['async-action', 'polling-trigger'] },
  'location-reachable': { title: 'Location leads back to the API: right scheme, host and port', why: 'Behind a proxy many APIs hand out an address that only they know.', source: 'engine rule 5; ASYNC drops the port', kinds: action },
  'location-short': { title: 'Location is shorter than 2,000 characters', why: 'Longer URLs pass the limits of the engine and of what stands in between.', source: 'engine 9.1; LIMITS', kinds: ['async-action', 'polling-trigger'], severity: 'warning' },
  'retry-after-integer': { title: 'Retry-After is a whole number of seconds, and a 202 has it', why: 'Without it the wait is 1 or 20 seconds, whoever you ask; a date is not read.', source: 'engine 1.4 to 1.6, rule 12; CREATE-API', kinds: action },
  'status-exists': { title: 'The status can be read as soon as the 202 is out', why: 'A first poll that is answered 404 ends the action as failed.', source: 'engine 1.9, rule 3; durable-extension#99', kinds: action },
  'poll-early': { title: 'A poll before Retry-After is over is answered like any other', why: 'What comes early or twice must not be punished: 429 and 5xx use up the action\'s retries.', source: 'engine 1.13; FLOWFORGER', kinds: action },
  'poll-repeats-location': { title: 'Every further 202 repeats Location', why: 'The engine polls the Location of the newest 202.', source: 'engine 1.2, 1.8, rule 6; CREATE-API', kinds: action },
  'poll-repeats-retry-after': { title: 'Every further 202 repeats Retry-After', why: 'Else the engine falls back to its own interval.', source: 'engine 1.2, rule 6; CREATE-API', kinds: action },
  'poll-without-auth': { title: 'The status can be polled without authentication', why: 'Power Automate and some connectors send none with polls.', source: 'engine 1.22, rule 7; LA#611, architecture-center#4307', kinds: action },
  'poll-with-auth': { title: 'The status can be polled with the start\'s authentication', why: 'Azure Logic Apps sends it again with each poll.', source: 'engine 1.22, rule 7; LA#611', kinds: action },
  'job-ends': { title: 'The work on the sample ends, and succeeds', why: 'Otherwise the action runs until its limit.', source: 'engine 1.2; CREATE-API', kinds: action },
  'result-repeatable': { title: 'The result can be read again', why: 'A poll whose answer is lost is repeated.', source: 'engine rule 8; ASYNC removes it and answers 400', kinds: action },
  'start-idempotent': { title: 'The same start again is the same job', why: 'The engine delivers at least once, whatever the retry policy says.', source: 'engine 6.7, rule 1; LA#1483, LA#1136', kinds: action },
  'failure-is-4xx': { title: 'A failed job ends in a 4xx other than 408 and 429', why: '2xx reads as success whatever the body says; 408, 429 and 5xx are retried.', source: 'engine 1.11 to 1.13, rule 4; DURABLE', kinds: action },

  // Of subscribing.
  'subscribe-not-202': { title: 'Subscribe is answered 200 or 201', why: 'Whether a 202 with Location is polled is not known.', source: 'engine 2.6, 15.5', kinds: webhooks },
  'subscribe-idempotent': { title: 'The same callback URL again is the same subscription', why: 'Subscribe calls are repeated, and Standard repeats them at each restart: every event would come twice.', source: 'engine 6.7, rules 1 and 15; EHUB', kinds: webhooks },
  'connector-location': { title: 'Subscribe is answered 201 with a Location below the API\'s own address', why: 'A custom connector unsubscribes by a DELETE of it, and sends its credentials to its own host alone.', source: 'engine 4.3, 4.6, rule 13; CC-WEBHOOK, PPC#3678', kinds: webhooks, severity: 'warning' },
  'unsubscribe-accepted': { title: 'Unsubscribe is answered 2xx', why: 'A refused one leaves the subscription behind.', source: 'engine 2.3, rule 14; WEBHOOK-DOC', kinds: webhooks },
  'unsubscribe-idempotent': { title: 'Unsubscribe may come twice', why: 'Pages disagree on when it comes: after success, on cancel, on each change.', source: 'engine 2.3, rule 14; WEBHOOK-DOC', kinds: webhooks },
  'unsubscribe-unknown': { title: 'Unsubscribe for what never was is answered 2xx', why: 'It may come when the subscription is gone already.', source: 'engine 2.3, rule 14; EHUB', kinds: webhooks },
  'unsubscribe-without-url': { title: 'Unsubscribe is answered 2xx without a callback URL', why: 'In some versions `listCallbackUrl()` cannot stand there.', source: 'engine 2.5, rule 14; AD#43001', kinds: webhooks },
  'unsubscribe-stops': { title: 'After unsubscribe nothing is called back', why: 'The URL is dead: each call is refused.', source: 'engine 2.3, 2.14; WEBHOOK-DOC', kinds: webhooks },

  // Of callbacks.
  'callback-comes': { title: 'The callback URL is called', why: 'Without it the action waits until its limit, the workflow never starts.', source: 'engine 2.21; LA#1230', kinds: webhooks },
  'callback-byte-for-byte': { title: 'The callback URL is used as it was given, in every byte', why: 'Its signature covers the encoded slashes in the query: decoded or reordered, it is refused.', source: 'engine 2.8, 2.13, rule 16', kinds: webhooks },
  'callback-post': { title: 'A callback is a POST', why: 'Nothing else is taken.', source: 'engine 2.15, rule 16; WEBHOOK-DOC', kinds: webhooks },
  'callback-no-authorization': { title: 'A callback has no Authorization header', why: 'A signature and a header together are answered 401.', source: 'engine 2.16, rule 16; SEC-DOC', kinds: webhooks },
  'callback-content-type': { title: 'A callback is application/json', why: 'Other types arrive as text or base64.', source: 'engine 1.27, rule 18', kinds: webhooks },
  'callback-object': { title: 'A callback\'s body is a JSON object, encoded once', why: 'A string with JSON in it, or a bare array, cannot be used by the designer\'s fields.', source: 'engine 12.3, rule 18; TRIG', kinds: webhooks },
  'callback-once': { title: 'A callback that was taken is not sent again', why: 'Each starts a run, or is refused.', source: 'engine 2.22; WDL-REF', kinds: webhooks },
  'callback-retried': { title: 'A callback that was answered 503 or 429 is sent again', why: 'The engine throttles and restarts: what is not repeated is lost.', source: 'engine 9.2, rule 17; LIMITS', kinds: webhooks },
  'callback-backs-off': { title: 'A callback is not repeated before Retry-After is over', why: 'Above its limits the engine answers 429, and more calls make it last.', source: 'engine 9.2, rule 17; LIMITS', kinds: webhooks },
  'callback-final': { title: 'A callback that was answered 404 is not sent again', why: 'The URL is dead for good.', source: 'engine 2.18, 2.19, rule 17', kinds: webhooks },
  'failure-calls-back': { title: 'A job that failed calls back too', why: 'A webhook action has no other way to hear of it, and waits until its limit.', source: 'engine 2.20, 2.21, rule 18; AD#56978', kinds: hookAction },
  'subscription-lasts': { title: 'A trigger\'s subscription outlives its first callback', why: 'It ends when it is unsubscribed, not before.', source: 'engine 2.4, 2.22; WDL-REF', kinds: hookTrigger },
  'save-replaces': { title: 'A new callback URL of a workflow takes the place of the old one', why: 'A save makes a new URL; the one before is dead, or every event comes twice.', source: 'engine 2.9, rule 15', kinds: hookTrigger },
  'late-unsubscribe': { title: 'Unsubscribing an old callback URL leaves the new one alone', why: 'On a save the two calls come in any order.', source: 'engine 2.9, rule 15', kinds: hookTrigger },
  'disabled-final': { title: 'A callback that was answered 400 WorkflowTriggerIsNotEnabled is not sent again', why: 'The workflow is switched off.', source: 'engine 2.18, rule 17', kinds: hookTrigger },

  // Of polling triggers.
  'first-poll-202': { title: 'The first poll, without state, is answered 202', why: 'Else switching a workflow on starts a run for all that ever happened.', source: 'engine 3.7, rule 9; CREATE-API, CC-POLL', kinds: polling },
  'nothing-new-202': { title: 'Nothing new is answered 202', why: 'An empty 200 starts a run with nothing in it; 204 and 404 are not the contract.', source: 'engine 3.1, 3.8, 3.10, rule 11; WDL-REF', kinds: polling },
  'event-found': { title: 'What happened is answered 200 with it', why: 'It is what the workflow waits for.', source: 'engine 3.3; CREATE-API', kinds: polling },
  'event-once': { title: 'What was answered is not answered again under the new state', why: 'The engine removes no duplicates: each is a run.', source: 'engine 3.17, rule 10; CREATE-API', kinds: polling },
  'no-event-lost': { title: 'What happened at the same time is answered too', why: 'A state with the precision of a second skips all but one.', source: 'engine 3.18, rule 10; TRIG', kinds: polling },
  'poll-repeatable': { title: 'The same state again gives the same answer', why: 'A poll whose answer is lost is repeated: what was removed by the first is gone.', source: 'engine 6.8, rule 10', kinds: polling, severity: 'warning' },
  'trigger-retry-after': { title: 'Retry-After, where there is one, is a whole number of seconds', why: 'A date is not read.', source: 'engine 1.4, rule 12; CREATE-API', kinds: polling },
  'no-zero-on-202': { title: 'A 202 has no Retry-After of 0', why: 'It cannot beat the recurrence: it asks for what never happens.', source: 'engine 3.5, 3.12, rule 12; WDL-REF', kinds: polling },
  'items-array': { title: 'The items of a batch are an array', why: 'splitOn over anything else fails the trigger.', source: 'engine 3.14, 3.21; WDL-REF', kinds: polling },

  // Of the document.
  'document-public': { title: 'The document can be read without credentials', why: 'The designer fetches it from the browser, and sends none.', source: 'engine 10.2, rule 20; UX', kinds: documents },
  'cors-preflight': { title: 'A preflight for the request header Access-Control-Allow-Origin is granted', why: 'The designer adds that header, odd as it is, so the browser asks first.', source: 'engine 10.1, 10.2, rule 20; UX', kinds: documents },
  'swagger-2': { title: 'The document is OpenAPI 2.0 (Swagger)', why: 'OpenAPI 3 is not read.', source: 'engine 10.3, rule 20; CC-FAQ', kinds: documents },
  'swagger-size': { title: 'The document is smaller than 1 MB', why: 'A larger one is refused for a custom connector.', source: 'engine 9.4, rule 20; CC-FAQ', kinds: documents },
  'operation-ids': { title: 'Every operation has an operationId of its own', why: 'The designer knows operations by it.', source: 'engine 10.3, rule 20; CUSTAPI', kinds: documents },
  'notification-url': { title: 'The notification URL is a required, internal string in the body', why: 'Else the connector cannot fill it in, or asks the author for it.', source: 'engine 4.1, 4.2; CC-RULES', kinds: documents }
} as const satisfies Record<string, Rule>

export type RuleId = keyof typeof rules

export function ruleOf (id: RuleId): Rule {
  return rules[id]
}
