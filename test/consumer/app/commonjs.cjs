const fastify = require('fastify')
const logicApps = require('fastify-logic-apps')
const { sqliteStore } = require('fastify-logic-apps/sqlite')
const { doubles } = require('./doubles.cjs')

async function main () {
  await doubles(fastify(), logicApps.fastifyLogicApps, sqliteStore)
  await doubles(fastify(), logicApps, sqliteStore)
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
