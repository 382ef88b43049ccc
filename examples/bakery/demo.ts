/*
 * `npm run demo`: workflows and the bakery talk, and you read along. The workflows are JSON, as the code view of the designer
 * has it, played by the simulated engine; the bakery is server.ts in a process of its own, on a free port and a temporary
 * folder. Ends with 0 when all went as promised.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { STATUS_CODES } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
// In your tests: 'fastify-logic-apps/testing'.
import { createLogicAppsEngine, type ActionResult, type Exchange, type HttpAction, type HttpTrigger, type ReceivedCallback } from '../../src/testing/index.ts'

const startedAt = performance.now()
const folder = mkdtempSync(join(tmpdir(), 'bakery-demo-'))
const port = await findPort()
const bakery = `http://127.0.0.1:${port}`
/** Waits before each attempt at a callback, in seconds. By default they last for a day. */
const callbackSchedule = '0,4,4,4,4'
/** Of each action, so that nobody waits for ever. */
const limit = { timeout: 'PT1M' }
let server: ChildProcess | undefined

process.once('exit', () => {
  server?.kill('SIGKILL')
  // The killed process may still be writing for an instant.
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
})
process.once('SIGINT', () => { process.exit(130) })
process.once('SIGTERM', () => { process.exit(143) })

const engine = await createLogicAppsEngine({ baseUrl: bakery, onTraffic: showTraffic })
/** It repeats each first request with the ids that it had, as the cloud's engine does when an answer was lost. */
const repeating = await createLogicAppsEngine({ baseUrl: bakery, quirks: { firstRequest: 'again' }, seed: 2, listen: false, onTraffic: showTrackedTraffic })

try {
  await play()
  console.log(`\nAll as promised, in ${seconds()} s.`)
} catch (error) {
  console.error(`\nThe demo failed after ${seconds()} s: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  // Whatever was under way: nothing is left that keeps this process alive.
  await Promise.all([engine.close(), repeating.close()])
  server?.kill('SIGKILL')
}

async function play (): Promise<void> {
  explain('The bakery starts.')
  await openBakery()

  explain('A workflow orders a cake. Baking takes its time, so the answer comes before the cake: 202, where to ask for it (Location) and how soon (Retry-After). The engine asks there again and again, until the answer is no 202 any more. That answer is the cake.')
  const cake = await engine.run(orderOf({ flavour: 'lemon', message: 'Happy birthday', seconds: 3 }))
  expectStatus(cake, 200)
  expect(bodyOf(cake).message === 'Happy birthday', 'the cake should say "Happy birthday"')

  explain('Another order is canceled: DELETE of the same URL. The baker stops, and whoever asks is told.')
  const canceled = await call('POST', '/cakes', { flavour: 'carrot', seconds: 60 })
  expectStatus(canceled, 202)
  expectStatus(await call('DELETE', locationOf(canceled)), 204)
  expectFailure(await call('GET', locationOf(canceled)), 'JobCanceled')

  explain('A cake that burns is a failed job. It answers a 4xx with the code that the baker threw, which fails the action in the workflow.')
  expectFailure(await engine.run(orderOf({ flavour: 'burnt', seconds: 1 })), 'CakeBurnt')

  explain('The engine repeats an order when the answer to it was lost. It carries the same tracking id, so the bakery knows it: one Location, one cake.')
  const { history: [first, second] } = await repeating.run(orderOf({ flavour: 'vanilla', seconds: 1 }))
  expect(first?.response?.headers.location === second?.response?.headers.location, 'both orders should have the same Location')

  await playKill()
  await playCallbacks()
  await playPolls()

  engine.expectQuiet()
  explain('Nothing is owed, and nobody waits. The bakery closes: SIGTERM.')
  await closeBakery()
}

async function playKill (): Promise<void> {
  explain('A cake is in the oven when the server is killed, with SIGKILL: it can save nothing and say nothing. The engine meets nobody there, and will ask again.')
  const { history, done } = engine.start(orderOf({ flavour: 'chocolate', seconds: 6 }))
  await until(() => history.some(({ purpose, response }) => purpose === 'poll' && response?.statusCode === 202), 'the cake should be in the oven by now')
  await killBakery()
  await until(() => history.some(({ error }) => error !== undefined), 'a killed server should not answer')

  explain('It is started again on the same folder. The order is still there, baking begins anew, and the same URL ends in the same cake.')
  await openBakery()
  const saved = await done
  expectStatus(saved, 200)
  expect(history[0]!.response!.body.includes(`"${String(bodyOf(saved).cakeId)}"`), 'it should be the cake that was ordered before the kill')
}

async function playCallbacks (): Promise<void> {
  const { callbacks } = engine
  const [bake, onOrder] = ['Bake_and_call', 'On_order']
  const callbacksOf = (name: string | undefined): ReceivedCallback[] => callbacks.received.filter((callback) => callback.name === name)
  for (const name of [bake, onOrder]) callbacks.script([503], name)

  explain('Another workflow does not poll: it wants to be called. It hands over a callback URL, and is answered 201. A third one subscribes: it wants to be started by each order of lemon cake.')
  const surprise = engine.start({ type: 'HttpWebhook', inputs: webhook('/cakes/calls', { flavour: 'vanilla', message: 'Surprise', seconds: 1 }), limit }, { name: bake! })
  const lemons = engine.trigger({ type: 'HttpWebhook', inputs: webhook('/hooks/orders', { flavour: 'lemon' }) }, { name: onOrder! })
  await lemons.enable()

  explain('One is placed, and one that it did not ask for. But the workflows cannot be reached: whatever comes is answered 503. The bakery will try again, as its schedule says.')
  await placeOrders(['A-1', 'carrot'], ['A-2', 'lemon'])
  await until(() => [bake, onOrder].every((name) => callbacksOf(name).length > 0), 'the callbacks should have come by now')
  // Time to write down what the workflows answered: killed before that, the bakery would repeat itself at once.
  await delay(500)

  explain('Before it can, it is killed, and started again. Now the workflows can be reached.')
  await killBakery()
  await openBakery()
  const { status, outputs } = await surprise.done
  await until(() => lemons.runs.length > 0, 'the order of a lemon cake should have come by now')
  expect(status === 'Succeeded' && bodyOf({ outputs }).message === 'Surprise', 'the cake should be the one that was ordered')
  expect(lemons.runs.map(({ body }) => orderIdOf(body)).join() === 'A-2', 'only the order of a lemon cake should have come, once')
  for (const name of [bake, onOrder]) expect(new Set(callbacksOf(name).map(({ headers }) => headers['webhook-id'])).size === 1, 'a repeated callback should have the same webhook-id')
  explain('Both arrived. A repeat has the webhook-id of the first attempt, by which a receiver knows it.')

  explain('The workflow is switched off and unsubscribes. The next lemon cake is none of its business.')
  await lemons.disable()
  await placeOrders(['A-3', 'lemon'])
  await delay(1500)
  expect(callbacksOf(onOrder).every(({ body }) => !body.includes('A-3')), 'nothing should come after an unsubscribe')
  show('nothing came')
}

async function playPolls (): Promise<void> {
  explain('Two more workflows poll for orders: one takes all that came since it last asked, and starts a run for each (splitOn); the other one takes one order at a time. Their first answer is a 202: where to ask next, and nothing of what was ordered before.')
  const recurrence = { frequency: 'Second', interval: 2 } as const
  const poll = (uri: string): HttpTrigger => ({ type: 'Http', inputs: { method: 'GET', uri }, recurrence })
  const batch = engine.trigger({ ...poll('/triggers/orders'), splitOn: "@triggerBody()?['value']" }, { name: 'Poll_orders' })
  const single = engine.trigger(poll('/triggers/orders/next'), { name: 'Poll_next_order' })
  const both = [batch, single]
  for (const trigger of both) await trigger.enable()
  expect(both.every(({ runs }) => runs.length === 0), 'nothing that was ordered before should come')

  explain('They are switched off for a while. Three orders come in, and the server is killed and started again. How far each workflow has come stands in its URL, so that nothing can be forgotten.')
  for (const trigger of both) await trigger.disable()
  await placeOrders(['B-1', 'lemon'], ['B-2', 'lemon'], ['B-3', 'lemon'])
  await killBakery()
  await openBakery()

  explain('One poll brings all three to the first workflow; the next one finds nothing new. The second one is told to come back at once (Retry-After: 0) while more wait.')
  for (const trigger of both) await trigger.enable()
  await until(() => both.every(({ history }) => history.at(-1)?.status === 'Skipped'), 'there should be nothing new by now')
  for (const { runs } of both) expect(runs.map(({ body }) => orderIdOf(body)).join() === 'B-1,B-2,B-3', 'each order should have come once, in order')
  for (const trigger of both) await trigger.disable()
}

// What follows is the JSON of workflows, and what came of it.

function orderOf (order: object): HttpAction {
  return { type: 'Http', inputs: { method: 'POST', uri: '/cakes', body: order, retryPolicy: { type: 'fixed', interval: 'PT5S', count: 4 } }, limit }
}

function webhook (path: string, input: object): { subscribe: HttpAction['inputs'], unsubscribe: HttpAction['inputs'] } {
  const callbackUrl = '@{listCallbackUrl()}'
  return {
    subscribe: { method: 'POST', uri: path, body: { callbackUrl, ...input } },
    unsubscribe: { method: 'POST', uri: `${path}/unsubscribe`, body: { callbackUrl } }
  }
}

/** One call, whatever is answered. */
async function call (method: string, uri: string, body?: object): Promise<ActionResult> {
  return await engine.run({ type: 'Http', inputs: { method, uri, ...(body === undefined ? {} : { body }), retryPolicy: { type: 'none' } }, operationOptions: 'DisableAsyncPattern', limit })
}

async function placeOrders (...orders: [orderId: string, flavour: string][]): Promise<void> {
  for (const [orderId, flavour] of orders) expectStatus(await call('POST', '/orders', { orderId, flavour }), 201)
}

function bodyOf ({ outputs }: Pick<ActionResult, 'outputs'>): { [name: string]: unknown, error?: { code: string } } {
  return (outputs?.body ?? {}) as ReturnType<typeof bodyOf>
}

function orderIdOf (body: unknown): string {
  return (body as { orderId: string }).orderId
}

function locationOf ({ outputs }: ActionResult): string {
  const location = String(outputs?.headers.location)
  expect(location.startsWith(`${bakery}/cakes/jobs/`), 'a 202 should carry an absolute Location')
  return location
}

function expect (isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) throw new Error(otherwise)
}

function expectStatus ({ outputs, code }: ActionResult, expected: number): void {
  expect(outputs?.statusCode === expected, `the answer should be ${expected}, but it is ${outputs?.statusCode ?? code}`)
}

function expectFailure (result: ActionResult, code: string): void {
  expectStatus(result, 422)
  expect(result.status === 'Failed' && bodyOf(result).error?.code === code, `the error code should be ${code}, but it is ${bodyOf(result).error?.code}`)
}

async function until (isSo: () => boolean, otherwise: string): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    expect(tries < 400, otherwise)
    await delay(50)
  }
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

function explain (text: string): void {
  console.log(`\n${text}`)
}

/** A request of the engine's with its answer, or a callback of the bakery's with ours. */
function showTraffic (one: Exchange | ReceivedCallback): void {
  if ('target' in one) {
    show(`the bakery calls: ${one.method} ${one.target}   webhook-id: ${String(one.headers['webhook-id'])}`)
    showMore(`   ${one.body.toString()}`)
    return showMore(`<- ${one.statusCode} ${STATUS_CODES[one.statusCode!]}`)
  }
  const { request, response, error } = one
  show(`${request.method} ${request.url.slice(bakery.length)}${request.body === undefined ? '' : `  ${request.body}`}`)
  if (response === undefined) return showMore(`-> no answer (${error!.code})`)
  const shown = ['location', 'retry-after'].filter((name) => name in response.headers).map((name) => `${name}: ${String(response.headers[name])}`)
  showMore(`-> ${[`${response.statusCode} ${STATUS_CODES[response.statusCode]}`, ...shown].join('   ')}`)
  if (response.body !== '') showMore(`   ${response.body}`)
}

function showTrackedTraffic (one: Exchange | ReceivedCallback): void {
  if ('purpose' in one && one.purpose === 'start') show(`x-ms-action-tracking-id: ${one.request.headers['x-ms-action-tracking-id']}`)
  showTraffic(one)
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
  return text.replaceAll(/((?:\/cakes\/\w+|\/hooks\/orders)\/[\w-]{8})[\w-]{8,}/g, '$1…').replaceAll(/\?[^\s"]*\bsig=[^\s"]+/g, '?…').replaceAll(/(triggerState=[\w-]{8})[\w-]+/g, '$1…')
}
