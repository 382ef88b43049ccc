import fastify = require('fastify')
import { fastifyLogicApps } from 'fastify-logic-apps'
import { sqliteStore } from 'fastify-logic-apps/sqlite'

const app = fastify()
app.register(fastifyLogicApps, { store: sqliteStore({ file: ':memory:' }) })
