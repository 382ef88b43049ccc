import type { FastifyRequest } from 'fastify'
import { test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { addCakes, idOf, order, poll } from '../helpers/cakes.ts'

const owner = async ({ headers }: FastifyRequest) => String(headers['x-tenant'])

test('a job belongs to whom owner(request) names, to "default" without it', async (t) => {
  const { app } = await createApp(t, { owner })
  addCakes(app)
  const accepted = await order(app, { flavour: 'lemon' }, { 'x-tenant': 'north' })
  t.equal((await app.logicApps.jobs.get(idOf(accepted)))?.owner, 'north')
  const sole = await createApp(t)
  addCakes(sole.app)
  t.equal((await sole.app.logicApps.jobs.get(idOf(await order(sole.app))))?.owner, 'default')
})

test('an idempotency key of one owner tells nothing about another\'s (design 3.9)', async (t) => {
  const { app } = await createApp(t, { owner })
  addCakes(app)
  for (const header of ['idempotency-key', 'repeatability-request-id', 'x-ms-action-tracking-id']) {
    const start = (tenant: string, flavour: string) => order(app, { flavour }, { [header]: header, 'x-tenant': tenant })
    const north = await start('north', 'lemon')
    const south = await start('south', 'lemon')
    t.not(south.headers.location, north.headers.location)
    t.equal((await start('east', 'plum')).statusCode, 202, 'no 422 for a key that another owner used')
    t.equal((await start('north', 'lemon')).headers.location, north.headers.location)
    t.equal((await start('south', 'lemon')).headers.location, south.headers.location)
  }
})

test('two owners whose names run together with the key are two', async (t) => {
  const { app } = await createApp(t, { owner })
  addCakes(app)
  const first = await order(app, { flavour: 'lemon' }, { 'x-tenant': 'a', 'idempotency-key': 'bc' })
  const second = await order(app, { flavour: 'lemon' }, { 'x-tenant': 'ab', 'idempotency-key': 'c' })
  t.not(second.headers.location, first.headers.location)
})

test('a token is enough to poll: owner() is asked at the start alone', async (t) => {
  const { app } = await createApp(t, { owner: ({ headers }) => headers['x-tenant'] as string })
  addCakes(app)
  t.equal((await poll(app, await order(app, { flavour: 'lemon' }, { 'x-tenant': 'north' }))).statusCode, 202)
})

test('an owner that is no name is never taken for a default: 500, and nothing is stored', async (t) => {
  for (const value of [undefined, null, '', 7, {}]) {
    const { app, logs } = await createApp(t, { owner: () => value as string })
    addCakes(app)
    t.equal((await order(app)).statusCode, 500)
    t.match(logs.find(({ level }) => level === 50), { err: { message: /the owner option must give a non-empty string/ } })
    t.same(await app.logicApps.jobs.list(), [])
  }
})

test('an owner() that throws is the host\'s error', async (t) => {
  const { app } = await createApp(t, { owner: () => { throw Object.assign(new Error('who are you?'), { statusCode: 403 }) } })
  addCakes(app)
  t.equal((await order(app)).statusCode, 403)
})
