import { test } from 'tap'
import { createApp, pathOf, pollUntilEnded } from '../helpers/app.ts'

test('a start answers 202 with absolute Location and whole Retry-After, and the last poll the result (engine 1.1, 1.2)', async (t) => {
  const { app, clock } = await createApp(t)
  app.asyncAction('/double', {
    schema: { operationId: 'Double', body: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } },
    result: { type: 'object', properties: { doubled: { type: 'number' } }, required: ['doubled'] }
  }, async (job) => {
    await job.sleep(7000)
    return { doubled: (job.input as { n: number }).n * 2 }
  })

  const accepted = await app.inject({ method: 'POST', url: '/double', payload: { n: 21 } })
  t.equal(accepted.statusCode, 202)
  t.match(accepted.headers.location, /^https:\/\/api\.example\/double\/jobs\/[\w-]{44}$/)
  t.equal(accepted.headers['retry-after'], '5')

  const early = await app.inject({ method: 'GET', url: pathOf(accepted.headers.location) })
  t.equal(early.statusCode, 202)
  t.equal(early.headers.location, accepted.headers.location)

  const ended = await pollUntilEnded(app, clock, early)
  t.equal(ended.statusCode, 200)
  t.same(ended.json(), { doubled: 42 })
})
