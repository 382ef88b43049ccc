/*
 * Two bakeries share one PostgreSQL database behind a load balancer, a workflow talks to them, and one of them is killed
 * in the midst of a bake. You read along. Ends with 0 when all went as promised.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { endBakeries, openBakery, type Bakery } from './bakery.ts'
import { startDatabase } from './database.ts'
import { openProxy } from './proxy.ts'
import { call, expect, explain, follow, openWorkflow, seconds, show, until, type Workflow } from './talk.ts'

/** What a killed replica had in hand goes on elsewhere by then. */
const recoverySeconds = 30
/** The cake that a kill interrupts bakes for longer than it takes a bakery to open, on a busy machine too. */
const bakingSeconds = (openingSeconds: number): number => Math.ceil(Math.max(8, 2 * openingSeconds))

const [databasePort, proxyPort, workflowPort, portOfA, portOfB] = await findPorts(5) as [number, number, number, number, number]
const api = `http://127.0.0.1:${proxyPort}`
const workflowOrigin = `http://127.0.0.1:${workflowPort}`

try {
  explain('PostgreSQL starts.')
  const database = await startDatabase(databasePort, randomBytes(12).toString('hex'))
  const proxy = await openProxy(proxyPort)
  const workflow = await openWorkflow(workflowPort)
  try {
    // The same for both: a URL that one hands out is asked at the other.
    const env = { DATABASE_URL: database.url, SECRET: randomBytes(32).toString('hex'), BASE_URL: api }
    const open = async (name: 'A' | 'B'): Promise<Bakery> => {
      const bakery = await openBakery(name === 'A' ? portOfA : portOfB, env)
      proxy.replicas.set(name, bakery.port)
      show(`bakery ${name} is open, process ${name === 'A' ? 'one' : 'two'} of two`)
      return bakery
    }
    explain('Two bakeries open, at the same time: one makes the tables, the other waits for it. A load balancer gives requests to them in turn.')
    const began = performance.now()
    const [a, b] = await Promise.all([open('A'), open('B')])
    const baking = bakingSeconds((performance.now() - began) / 1000)
    await playActions(workflow)
    await playTriggers(workflow)
    await playKill(a, b, open, proxy.replicas, baking)
  } finally {
    await endBakeries()
    workflow.close()
    proxy.close()
    await database.stop()
  }
  console.log(`\nAll as promised, in ${seconds()} s.`)
} catch (error) {
  console.error(`\nFailed after ${seconds()} s: ${(error as Error).message}`)
  process.exitCode = 1
}

async function playActions (workflow: Workflow): Promise<void> {
  explain('A workflow orders a cake at one bakery, and asks for it at the other as well.')
  const order = await call('POST', `${api}/cakes`, 202, { flavour: 'lemon', message: 'Across', seconds: 1 })
  const { last, replicas } = await follow(order, recoverySeconds)
  expect(last.body.message === 'Across', 'the cake should be the one that was ordered')
  expect([...replicas].some((name) => name !== order.replica), 'the other bakery should have been asked')

  explain('Another order is canceled at the other bakery, wherever it bakes.')
  const canceled = await call('POST', `${api}/cakes`, 202, { flavour: 'carrot', seconds: 60 })
  const cancel = await call('DELETE', canceled.location, 204)
  expect(cancel.replica !== canceled.replica, 'the other bakery should have been told')
  await call('GET', canceled.location, 422)

  explain('A workflow hands over a callback URL, and is called with the cake by whichever bakery gets to it.')
  await call('POST', `${api}/cakes/calls`, 201, { callbackUrl: `${workflowOrigin}/cakes?sig=${randomUUID()}`, flavour: 'vanilla', message: 'Surprise', seconds: 0 })
  await until(() => workflow.received.some(({ path, body }) => path === '/cakes' && body.message === 'Surprise'), 'the cake should have come')
}

async function playTriggers (workflow: Workflow): Promise<void> {
  explain('A workflow subscribes to orders at one bakery. One is placed at the other, which the workflow is told of. It unsubscribes where the order was placed.')
  const subscription = await call('POST', `${api}/hooks/orders`, 201, { callbackUrl: `${workflowOrigin}/orders?sig=${randomUUID()}` })
  const placed = await call('POST', `${api}/orders`, 201, { orderId: 'A-1', flavour: 'lemon' })
  expect(placed.replica !== subscription.replica, 'the order should have been placed at the other bakery')
  await until(() => workflow.received.some(({ body }) => body.orderId === 'A-1'), 'the order should have come')
  // Shifts the turn.
  await call('GET', `${api}/flavours`, 200)
  const gone = await call('DELETE', subscription.location, 200)
  expect(gone.replica === placed.replica, 'the other bakery should have been told')

  explain('Another polls for orders. Its first answer says where to ask next. Two are placed, one at each bakery, and the poll of the other bakery has both, in order.')
  const first = await call('GET', `${api}/triggers/orders`, 202)
  for (const orderId of ['B-1', 'B-2']) await call('POST', `${api}/orders`, 201, { orderId, flavour: 'lemon' })
  const poll = await call('GET', first.location, 200)
  expect(poll.replica !== first.replica, 'the other bakery should have been polled')
  expect((poll.body.value as { orderId: string }[]).map(({ orderId }) => orderId).join() === 'B-1,B-2', 'both orders should be there')
  await call('GET', poll.location, 202)
  expect(!workflow.received.some(({ body }) => body.orderId === 'B-1'), 'nothing should come after an unsubscribe')
}

async function playKill (a: Bakery, b: Bakery, open: (name: 'A' | 'B') => Promise<Bakery>, replicas: Map<string, number>, baking: number): Promise<void> {
  explain('Bakery B closes for an instant, as in a deploy, so that the next cake is baked at A for certain. Then it opens again.')
  replicas.delete('B')
  await b.end('SIGTERM')
  const order = await call('POST', `${api}/cakes`, 202, { flavour: 'chocolate', message: 'Twice', seconds: baking })
  const again = await open('B')
  replicas.delete('B')
  let oven = order
  while (Number(oven.body.percentComplete ?? 0) === 0) {
    await delay(100)
    oven = await call('GET', order.location, 202)
  }
  replicas.set('B', again.port)

  explain('A is killed with the cake in its oven, by SIGKILL: it can save nothing and say nothing. B sees after a while that A does not move any more, and bakes.')
  await a.end('SIGKILL')
  const killedAt = performance.now()
  show('bakery A is gone')
  const { last } = await follow(order, recoverySeconds + 2 * baking)
  const took = (performance.now() - killedAt) / 1000
  expect(last.replica === 'B', 'B should have answered')
  expect(last.body.message === 'Twice' && last.body.cakeId === order.body.id, 'it should be the cake that was ordered before the kill')
  expect(took < recoverySeconds + baking, `it took ${took.toFixed(1)} s`)
  show(`the cake came ${took.toFixed(1)} s after the kill`)

  explain('B closes: SIGTERM.')
  await again.end('SIGTERM')
  show('bakery B ended with 0')
}

/** All at once, so that none is given twice. */
async function findPorts (count: number): Promise<number[]> {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  return await Promise.all(probes.map(async (probe) => {
    await once(probe, 'listening')
    return (probe.address() as AddressInfo).port
  })).finally(() => { for (const probe of probes) probe.close() })
}
