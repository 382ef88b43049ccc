import { later, type ApiParts } from './parts.ts'

export type Outcome = 'delivered' | 'gone'

/** Sends one callback until it is taken or refused for good, right but for the faults. */
export async function sendCallback (parts: ApiParts, given: string, payload: object, isWanted: () => boolean = () => true): Promise<Outcome> {
  const { has, clock, pace } = parts
  const { url, method, headers, body } = requestOf(parts, given, payload)
  for (let attempt = 1; attempt <= 8 && isWanted(); attempt++) {
    const { origin } = new URL(url)
    const answer = await parts.callbacks.dispatcher.request({ origin, path: url.slice(origin.length), method, headers, body: method === 'GET' ? null : body })
    const text = await answer.body.text()
    const { statusCode } = answer
    if (statusCode < 300) {
      if (!has('callback repeated') || attempt > 1) return 'delivered'
      await later(clock, pace.retry)
      continue
    }
    const isDisabled = text.includes('WorkflowTriggerIsNotEnabled')
    const mayPass = statusCode === 408 || statusCode === 429 || statusCode >= 500
    const goesOn = mayPass ? !has('callback never retried') && !(statusCode === 429 && has('callback dropped at 429')) : isDisabled ? has('disabled trigger hammered') : has('dead callback hammered') && statusCode === 404
    if (!goesOn) return 'gone'
    await later(clock, has('callback retried at once') ? 0 : Number(answer.headers['retry-after'] ?? pace.retry))
  }
  return 'gone'
}

interface CallbackRequest {
  url: string
  method: 'GET' | 'PUT' | 'POST'
  headers: Record<string, string>
  body: string
}

function requestOf ({ has }: ApiParts, given: string, payload: object): CallbackRequest {
  const json = JSON.stringify(payload)
  return {
    url: damaged(has, given),
    method: has('callback by GET') ? 'GET' : has('callback by PUT') ? 'PUT' : 'POST',
    headers: {
      'content-type': has('callback as text') ? 'text/plain' : 'application/json',
      ...(has('callback with Authorization') ? { authorization: 'Bearer own' } : {})
    },
    body: has('callback encoded twice') ? JSON.stringify(json) : has('callback as an array') ? `[${json}]` : has('callback without JSON') ? json.slice(1) : json
  }
}

function damaged (has: ApiParts['has'], url: string): string {
  if (has('callback URL decoded')) return decodeURIComponent(url)
  if (has('callback URL reordered')) {
    const [path, query] = url.split('?') as [string, string]
    return `${path}?${query.split('&').toSorted().reverse().join('&')}`
  }
  if (has('callback URL with more')) return `${url}&source=cakes`
  return has('callback URL in lower case escapes') ? url.replaceAll('%2F', '%2f') : url
}
