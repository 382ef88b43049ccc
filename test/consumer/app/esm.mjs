import assert from 'node:assert/strict'
import Fastify from 'fastify'
import byDefault, { fastifyLogicApps } from 'fastify-logic-apps'
import { sqliteStore } from 'fastify-logic-apps/sqlite'
import { doubles } from './doubles.cjs'

assert.equal(byDefault, fastifyLogicApps)
await doubles(Fastify(), fastifyLogicApps, sqliteStore)
