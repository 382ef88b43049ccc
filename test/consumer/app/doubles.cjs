const assert = require('node:assert/strict')
const { setTimeout: delay } = require('node:timers/promises')

/** Registers the plugin as it was imported, starts one action and follows its status monitor to the result. */
exports.doubles = async function doubles (app, plugin, sqliteStore) {
  await app.register(plugin, { store: sqliteStore({ file: ':memory:' }) })

  app.asyncAction('/double', {
    schema: {
      operationId: 'Double',
      summary: 'Double',
      body: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }
    },
    result: { type: 'object', properties: { doubled: { type: 'number' } }, required: ['doubled'] }
  }, async (job) => ({ doubled: job.input.n * 2 }))

  const accepted = await app.inject({ method: 'POST', url: '/double', payload: { n: 21 } })
  assert.equal(accepted.statusCode, 202, accepted.body)
  const { pathname, search } = new URL(accepted.headers.location)

  const deadline = Date.now() + 10_000
  let polled
  do {
    await delay(20)
    polled = await app.inject(pathname + search)
  } while (polled.statusCode === 202 && Date.now() < deadline)

  assert.equal(polled.statusCode, 200, polled.body)
  assert.deepEqual(polled.json(), { doubled: 42 })
  await app.close()
}
