import type { FastifyInstance, FastifyReply } from 'fastify'
import { later, type ApiParts } from './parts.ts'

interface Job { id: string, flavour: string, endsAt: number, polls: number, isRead: boolean }

/** An asynchronous action, right but for its faults. */
export function addJobs (app: FastifyInstance, { clock, has, origin, pace }: ApiParts): void {
  const jobs = new Map<string, Job>()
  const byTracking = new Map<string, Job>()

  function accepted (reply: FastifyReply, { id, polls }: Job): FastifyReply {
    const isFurther = polls > 0
    const path = has('location too long') ? `/jobs/${id}?pad=${'x'.repeat(3000)}` : `/jobs/${id}`
    const location = has('relative Location') ? path : has('Location with a lost port') ? `http://api.example:81${path}` : origin + path
    if (!(has('no Location') || (isFurther && has('no Location on further 202s')))) reply.header('location', location)
    if (has('Retry-After as a date')) reply.header('retry-after', new Date(clock.now() + 2000).toUTCString())
    else if (has('Retry-After with a fraction') && !isFurther) reply.header('retry-after', '1.5')
    else if (!(has('no Retry-After') && !isFurther) && !(isFurther && has('no Retry-After on further 202s'))) reply.header('retry-after', String(pace.retryAfter))
    return reply.code(202).type('application/json').send(JSON.stringify({ id }))
  }

  function outcome (reply: FastifyReply, job: Job): FastifyReply {
    if (job.flavour === 'burnt') {
      if (has('failed job as 200')) return reply.send({ status: 'Failed' })
      if (has('failed job as 500')) return reply.code(500).send({ error: { code: 'Burnt' } })
      if (has('failed job as 429')) return reply.code(429).send({ error: { code: 'Burnt' } })
      if (has('failed job as 403')) return reply.code(403).send({ error: { code: 'Forbidden' } })
      return reply.code(422).send({ error: { code: 'Burnt' } })
    }
    if (has('result readable once') && job.isRead) return reply.code(410).send()
    if (has('result empty when read again') && job.isRead) return reply.send({})
    job.isRead = true
    if (has('partial content')) return reply.code(206).header('content-range', 'bytes 0-1/10').send('ab')
    if (has('broken JSON')) return reply.type('application/json').send('{"cake":')
    if (has('JSON as text')) return reply.type('text/plain').send('{"cake":"lemon"}')
    if (has('JSON without a content type')) return reply.type('application/octet-stream').send(Buffer.from('{"cake":"lemon"}'))
    if (has('sample fails')) return reply.code(500).send({ error: { code: 'Oops' } })
    return reply.send({ cake: job.flavour })
  }

  app.post('/jobs', async (request, reply) => {
    const { headers } = request
    const { flavour } = request.body as { flavour?: string }
    if (has('charset refused') && headers['content-type']?.includes('charset')) return await reply.code(415).send()
    if (has('Accept demanded') && headers.accept === undefined) return await reply.code(406).send()
    if (has('engine headers demanded') && headers['x-ms-workflow-run-id'] === undefined) return await reply.code(400).send()
    if (has('start redirected')) return await reply.redirect(`${origin}/jobs/`, 308)
    if (has('slow start')) await later(clock, 130)
    if (flavour === undefined) return await reply.code(has('wrong input as 500') ? 500 : has('wrong input as 408') ? 408 : 400).send({ error: { code: 'NoFlavour' } })
    const tracking = headers['x-ms-action-tracking-id'] as string | undefined
    const known = tracking === undefined || has('start not idempotent') ? undefined : byTracking.get(tracking)
    const job = known ?? { id: String(jobs.size + 1), flavour, endsAt: clock.now() + (has('job never ends') ? Infinity : pace.job * 1000), polls: 0, isRead: false }
    const commit = (): void => { jobs.set(job.id, job) }
    if (has('job committed late')) clock.after(1000, commit)
    else commit()
    if (tracking !== undefined) byTracking.set(tracking, job)
    return accepted(reply, { ...job, polls: 0 })
  })

  app.get<{ Params: { id: string } }>('/jobs/:id', async (request, reply) => {
    const job = jobs.get(request.params.id)
    if (job === undefined) return await reply.code(404).send({ error: { code: 'NoSuchJob' } })
    if (has('poll demands authentication') && request.headers.authorization === undefined) return await reply.code(401).send()
    if (has('poll refuses authentication') && request.headers.authorization !== undefined) return await reply.code(403).send()
    if (has('status redirected')) return await reply.redirect(`${origin}/jobs/${job.id}/status`)
    if (has('slow poll')) await later(clock, 130)
    job.polls++
    if (has('early poll punished') && clock.now() < job.endsAt - 1000 * (pace.job - pace.retryAfter)) return await reply.code(429).header('retry-after', String(pace.retryAfter)).send()
    return clock.now() < job.endsAt ? accepted(reply, job) : outcome(reply, job)
  })
}
