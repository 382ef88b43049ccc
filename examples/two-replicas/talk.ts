/* What the workflow says and hears, printed as it comes. */
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

export interface Answer {
  status: number
  /** Which replica gave it. */
  replica: string
  location: string
  retryAfterSeconds: number
  body: { [name: string]: unknown }
}

export interface Workflow {
  received: { path: string, body: Answer['body'] }[]
  close (): void
}

const startedAt = performance.now()

export const explain = (text: string): void => { console.log(`\n${text}`) }
export const show = (text: string): void => { console.log(`${seconds().padStart(6)} s  ${hideToken(text)}`) }
export const seconds = (): string => ((performance.now() - startedAt) / 1000).toFixed(1)

export function expect (isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) throw new Error(otherwise)
}

export async function call (method: string, url: string, expected: number, body?: object): Promise<Answer> {
  const response = await fetch(url, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(10_000)
  })
  const text = await response.text()
  const answer: Answer = {
    status: response.status,
    replica: response.headers.get('x-replica') ?? 'nobody',
    location: response.headers.get('location') ?? '',
    retryAfterSeconds: Number(response.headers.get('retry-after')),
    body: text === '' ? {} : JSON.parse(text) as Answer['body']
  }
  show(`${method} ${new URL(url).pathname}${new URL(url).search}${body === undefined ? '' : `  ${JSON.stringify(body)}`}\n          -> ${answer.status} from ${answer.replica}${text === '' ? '' : `   ${text}`}`)
  expect(answer.status === expected || expected === 0, `the answer should be ${expected}, but it is ${answer.status}`)
  return answer
}

/** What the engine does with a 202: waits as long as it says, and asks where it says, until the answer is another, which it is within some seconds. */
export async function follow (accepted: Answer, mostSeconds: number): Promise<{ last: Answer, replicas: Set<string> }> {
  const replicas = new Set<string>()
  let last = accepted
  const began = performance.now()
  while (last.status === 202) {
    expect(performance.now() - began < mostSeconds * 1000, 'the cake should be done by now')
    await delay(1000 * last.retryAfterSeconds)
    last = await call('GET', last.location, 0)
    replicas.add(last.replica)
  }
  expect(last.status === 200, `the answer should be 200, but it is ${last.status}`)
  return { last, replicas }
}

/** Where callbacks arrive: Logic Apps' end of it. */
export async function openWorkflow (port: number): Promise<Workflow> {
  const received: Workflow['received'] = []
  const server: Server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => {
      const path = request.url!.split('?')[0]!
      show(`a bakery calls: POST ${path}   ${text}`)
      received.push({ path, body: JSON.parse(text) as Answer['body'] })
      response.writeHead(200).end()
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    received,
    close () {
      server.closeAllConnections()
      server.close()
    }
  }
}

export async function until (isSo: () => boolean, otherwise: string): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    expect(tries < 200, otherwise)
    await delay(50)
  }
}

/** Whoever has such a URL can use it, so it is shown to nobody: not even here. */
function hideToken (text: string): string {
  return text.replaceAll(/((?:\/cakes\/\w+|\/hooks\/orders)\/[\w-]{8})[\w-]+/g, '$1…').replaceAll(/\?sig=[\w-]+/g, '?…').replaceAll(/(triggerState=[\w-]{8})[\w-]+/g, '$1…')
}
