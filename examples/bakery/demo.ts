/*
 * `npm run demo`: a workflow and the bakery talk, and you read along. The workflow is played by fetch, the bakery is
 * server.ts in a process of its own, on a free port and a temporary folder. Ends with 0 when all went as promised.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

interface Answer { status: number, headers: Headers, body: { [name: string]: unknown, error?: { code: string } } }

/** A callback as the workflow gets it. */
interface Received { path: string, id: string, body: Answer['body'], taken: boolean }

const startedAt = performance.now()
const folder = mkdtempSync(join(tmpdir(), 'bakery-demo-'))
const port = await findPort()
const bakery = `http://127.0.0.1:${port}`
/** Waits before each attempt at a callback, in seconds. By default they last for a day. */
const callbackSchedule = '0,4,4,4,4'
let server: ChildProcess | undefined

process.once('exit', () => {
  server?.kill('SIGKILL')
  // The killed process may still be writing for an instant.
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
})
process.once('SIGINT', () => { process.exit(130) })
process.once('SIGTERM', () => { process.exit(143) })

try {
  await play()
  console.log(`\nAll as promised, in ${seconds()} s.`)
} catch (error) {
  console.error(`\nThe demo failed after ${seconds()} s: ${(error as Error).message}`)
  process.exitCode = 1
}

async function play (): Promise<void> {
  explain('The bakery starts.')
  await openBakery()

  explain('A workflow orders a cake. Baking takes its time, so the answer comes before the cake: 202, where to ask for it (Location) and how soon (Retry-After).')
  const order = await call('POST', `${bakery}/cakes`, { body: { flavour: 'lemon', message: 'Happy birthday', seconds: 3 } })
  expectStatus(order, 202)
  explain('The workflow asks there again and again, until the answer is no 202 any more. That answer is the cake.')
  const cake = await follow(order)
  expectStatus(cake, 200)
  expect(cake.body.message === 'Happy birthday', 'the cake should say "Happy birthday"')

  explain('Another order is canceled: DELETE of the same URL. The baker stops, and whoever asks is told.')
  const canceled = await call('POST', `${bakery}/cakes`, { body: { flavour: 'carrot', seconds: 60 } })
  expectStatus(canceled, 202)
  expectStatus(await call('DELETE', locationOf(canceled)), 204)
  expectFailure(await call('GET', locationOf(canceled)), 'JobCanceled')

  explain('A cake that burns is a failed job. It answers a 4xx with the code that the baker threw, which fails the action in the workflow.')
  expectFailure(await follow(await call('POST', `${bakery}/cakes`, { body: { flavour: 'burnt', seconds: 1 } })), 'CakeBurnt')

  explain('The engine repeats an order when the answer to it was lost. It carries the same tracking id, so the bakery knows it: one Location, one cake.')
  const repeated = { body: { flavour: 'vanilla', seconds: 1 }, headers: { 'x-ms-action-tracking-id': randomUUID() } }
  const first = await call('POST', `${bakery}/cakes`, repeated)
  const second = await call('POST', `${bakery}/cakes`, repeated)
  expectStatus(second, 202)
  expect(locationOf(first) === locationOf(second), 'both orders should have the same Location')

  explain('A cake is in the oven when the server is killed, with SIGKILL: it can save nothing and say nothing.')
  const interrupted = await call('POST', `${bakery}/cakes`, { body: { flavour: 'chocolate', seconds: 6 } })
  const halfDone = await pollOnce(interrupted)
  expect(halfDone.status === 202 && Number(halfDone.body.percentComplete) > 0, 'the cake should be in the oven by now')
  await killBakery()
  expect(await call('GET', locationOf(interrupted), {}, true) === undefined, 'a killed server should not answer')

  explain('It is started again on the same folder. The order is still there, baking begins anew, and the same URL ends in the same cake.')
  await openBakery()
  const saved = await follow(interrupted)
  expectStatus(saved, 200)
  expect(saved.body.cakeId === interrupted.body.id, 'it should be the cake that was ordered before the kill')

  const workflow = await openWorkflow()
  await playCallbacks(workflow)
  await playPolls()

  explain('The bakery closes: SIGTERM.')
  await closeBakery()
  workflow.server.close()
}

async function playCallbacks (workflow: Workflow): Promise<void> {
  explain('Another workflow does not poll: it wants to be called. It hands over a callback URL, and is answered 201 with the URL that takes the order back.')
  const order = await call('POST', `${bakery}/cakes/calls`, { body: { callbackUrl: workflow.urlOf('cakes'), flavour: 'vanilla', message: 'Surprise', seconds: 1 } })
  expectStatus(order, 201)

  explain('A third one subscribes: it wants to be started by each order of lemon cake. One is placed, and one that it did not ask for.')
  const subscription = await call('POST', `${bakery}/hooks/orders`, { body: { callbackUrl: workflow.urlOf('orders'), flavour: 'lemon' } })
  expectStatus(subscription, 201)
  expectStatus(await call('POST', `${bakery}/orders`, { body: { orderId: 'A-1', flavour: 'carrot' } }), 201)
  expectStatus(await call('POST', `${bakery}/orders`, { body: { orderId: 'A-2', flavour: 'lemon' } }), 201)

  explain('But the workflows cannot be reached: whatever comes is answered 503. The bakery will try again, as its schedule says.')
  await workflow.until(({ received }) => received.some(({ path }) => path === '/cakes') && received.some(({ path }) => path === '/orders'))
  // Time to write down what the workflows answered: killed before that, the bakery would repeat itself at once.
  await delay(500)

  explain('Before it can, it is killed, and started again. Then the workflows can be reached once more.')
  await killBakery()
  workflow.isDown = false
  await openBakery()
  await workflow.until(({ received }) => received.filter(({ taken }) => taken).length >= 2)
  const { received } = workflow
  const [cake, lemon] = ['/cakes', '/orders'].map((path) => received.filter((callback) => callback.path === path))
  expect(cake!.at(-1)!.body.message === 'Surprise', 'the cake should be the one that was ordered')
  expect(lemon!.every(({ body }) => body.orderId === 'A-2'), 'only the order of a lemon cake should have come')
  for (const callbacks of [cake!, lemon!]) expect(new Set(callbacks.map(({ id }) => id)).size === 1, 'a repeated callback should have the same webhook-id')
  explain('Both arrived. A repeat has the webhook-id of the first attempt, by which a receiver knows it.')

  explain('The workflow is switched off and unsubscribes. The next lemon cake is none of its business.')
  expectStatus(await call('DELETE', subscription.headers.get('location') ?? ''), 200)
  expectStatus(await call('POST', `${bakery}/orders`, { body: { orderId: 'A-3', flavour: 'lemon' } }), 201)
  await delay(1500)
  expect(!received.some(({ body }) => body.orderId === 'A-3'), 'nothing should come after an unsubscribe')
  show('nothing came')
}

async function playPolls (): Promise<void> {
  explain('Two more workflows poll for orders: one takes all that came since it last asked, the other one order at a time. Their first answer is a 202: where to ask next, and nothing of what was ordered before.')
  let [batch, single] = await Promise.all(['/triggers/orders', '/triggers/orders/next'].map((path) => call('GET', bakery + path)))
  for (const answer of [batch!, single!]) expectStatus(answer, 202)

  explain('Three orders come in, and the server is killed and started again. How far each workflow has come stands in its URL, so that nothing can be forgotten.')
  for (const orderId of ['B-1', 'B-2', 'B-3']) expectStatus(await call('POST', `${bakery}/orders`, { body: { orderId, flavour: 'lemon' } }), 201)
  await killBakery()
  await openBakery()

  explain('One poll brings all three to the first workflow; the next one finds nothing new.')
  batch = await call('GET', nextPollOf(batch!))
  expectStatus(batch, 200)
  expect(ordersOf(batch).join() === 'B-1,B-2,B-3', 'the batch should hold the three orders')
  batch = await call('GET', nextPollOf(batch))
  expectStatus(batch, 202)

  explain('The second one is told to come back at once (Retry-After: 0) while more wait.')
  const orders: unknown[] = []
  for (single = await call('GET', nextPollOf(single!)); single.status === 200; single = await call('GET', nextPollOf(single))) {
    orders.push(single.body.orderId)
    expect((single.headers.get('retry-after') === '0') === (orders.length < 3), 'a 200 should say 0 while more wait')
  }
  expect(orders.join() === 'B-1,B-2,B-3', 'each order should have come once, in order')
}

function ordersOf ({ body }: Answer): unknown[] {
  return (body.value as { orderId: string }[]).map(({ orderId }) => orderId)
}

function nextPollOf ({ headers }: Answer): string {
  const location = headers.get('location') ?? ''
  expect(location.startsWith(`${bakery}/triggers/orders`) && location.includes('triggerState='), 'every answer should carry the state in Location')
  return location
}

interface Workflow {
  server: Server
  isDown: boolean
  received: Received[]
  urlOf: (name: string) => string
  until: (isSo: (workflow: Workflow) => boolean) => Promise<void>
}

/** Where callbacks arrive: Logic Apps' end of it. Its URLs are keys, as the real ones are by their `sig`. */
async function openWorkflow (): Promise<Workflow> {
  const server = createHttpServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => {
      const path = request.url!.split('?')[0]!
      const id = String(request.headers['webhook-id'])
      const { isDown } = workflow
      workflow.received.push({ path, id, body: JSON.parse(text) as Answer['body'], taken: !isDown })
      show(`the bakery calls: POST ${workflow.origin}${path}?…   webhook-id: ${id}`)
      showMore(`   ${text}`)
      showMore(`<- ${isDown ? '503 Service Unavailable' : '200 OK'}`)
      response.writeHead(isDown ? 503 : 200).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const workflow = {
    server,
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    isDown: true,
    received: [] as Received[],
    urlOf: (name: string) => `${workflow.origin}/${name}?sig=${randomUUID()}`,
    async until (isSo: (workflow: Workflow) => boolean) {
      for (let tries = 0; !isSo(workflow); tries++) {
        expect(tries < 400, 'the callbacks should have come by now')
        await delay(50)
      }
    }
  }
  return workflow
}

/** Calls, and shows what was said. Resolves to `undefined` where no answer is expected and none comes. */
async function call (method: string, url: string, request?: { body?: object, headers?: Record<string, string> }): Promise<Answer>
async function call (method: string, url: string, request: object, mayFail: true): Promise<Answer | undefined>
async function call (method: string, url: string, { body, headers = {} }: { body?: object, headers?: Record<string, string> } = {}, mayFail = false): Promise<Answer | undefined> {
  show(`${method} ${url.slice(bakery.length)}${body === undefined ? '' : `  ${JSON.stringify(body)}`}`)
  for (const [name, value] of Object.entries(headers)) showMore(`${name}: ${value}`)
  try {
    const response = await fetch(url, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.timeout(10_000)
    })
    const shown = ['location', 'retry-after'].filter((name) => response.headers.has(name)).map((name) => `${name}: ${response.headers.get(name)}`)
    showMore(`-> ${[`${response.status} ${response.statusText}`, ...shown].join('   ')}`)
    const text = await response.text()
    if (text !== '') showMore(`   ${text}`)
    return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) as Answer['body'] }
  } catch (error) {
    const { code = 'no answer' } = (error as Error).cause as { code?: string } | undefined ?? {}
    if (!mayFail) throw new Error(`${method} ${hideToken(url)} was not answered: ${code}`, { cause: error })
    showMore(`-> no answer (${code})`)
    return undefined
  }
}

/** What the engine does with a 202: waits as long as it says, and asks where it says. */
async function pollOnce (accepted: Answer): Promise<Answer> {
  expectStatus(accepted, 202)
  const retryAfter = Number(accepted.headers.get('retry-after'))
  expect(Number.isInteger(retryAfter) && retryAfter > 0, 'a 202 should carry a Retry-After of whole seconds')
  await delay(1000 * retryAfter)
  return await call('GET', locationOf(accepted))
}

async function follow (accepted: Answer): Promise<Answer> {
  let answer = await pollOnce(accepted)
  for (let polls = 1; answer.status === 202; polls++) {
    expect(polls < 10, 'the cake should be done by now')
    answer = await pollOnce(answer)
  }
  return answer
}

function locationOf ({ headers }: Answer): string {
  const location = headers.get('location') ?? ''
  expect(location.startsWith(`${bakery}/cakes/jobs/`), 'a 202 should carry an absolute Location')
  return location
}

async function openBakery (): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'server.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PORT: String(port), HOST: '127.0.0.1', DATA_DIR: folder, BASE_URL: bakery, NODE_ENV: 'development', ALLOW_LOCAL_CALLBACKS: '1', CALLBACK_SCHEDULE_SECONDS: callbackSchedule }
  })
  server = child
  const ended = once(child, 'exit').then(([code, signal]) => { throw new Error(`the bakery ended before it was open (${signal ?? code})`) })
  const [line] = await Promise.race([once(child.stdout, 'data'), ended]) as [Buffer]
  ended.catch(() => {})
  show(String(line).trim())
}

async function killBakery (): Promise<void> {
  const ended = once(server!, 'exit')
  server!.kill('SIGKILL')
  await ended
  show('SIGKILL: the server is gone')
}

async function closeBakery (): Promise<void> {
  const ended = once(server!, 'exit')
  server!.kill('SIGTERM')
  const [code] = await ended
  show(`the server ended with ${code}`)
  expect(code === 0, 'the server should end with 0')
}

async function findPort (): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

function expect (isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) throw new Error(otherwise)
}

function expectStatus ({ status }: Answer, expected: number): void {
  expect(status === expected, `the answer should be ${expected}, but it is ${status}`)
}

function expectFailure (answer: Answer, code: string): void {
  expectStatus(answer, 422)
  expect(answer.body.error?.code === code, `the error code should be ${code}, but it is ${answer.body.error?.code}`)
}

function explain (text: string): void {
  console.log(`\n${text}`)
}

function show (text: string): void {
  console.log(`${seconds().padStart(6)} s  ${hideToken(text)}`)
}

function showMore (text: string): void {
  console.log(`          ${hideToken(text)}`)
}

function seconds (): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1)
}

/**
 * Whoever has the token of a job or subscription can end it, whoever has a triggerState can read what is new, and whoever has a callback URL can answer in our place, so
 * they go into no log, not even into this one.
 */
function hideToken (text: string): string {
  return text.replaceAll(/((?:\/cakes\/\w+|\/hooks\/orders)\/[\w-]{8})[\w-]+/g, '$1…').replaceAll(/\?sig=[\w-]+/g, '?…').replaceAll(/(triggerState=[\w-]{8})[\w-]+/g, '$1…')
}
