import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { JobError } from '../../src/index.ts'
import type { ApprovalLinks } from './links.ts'
import { decisionPage, messagePage } from './page.ts'

const Link = Type.Object({ token: Type.String() })
const Decision = Type.Object({
  decision: Type.Enum(['approve', 'reject']),
  comment: Type.String({ maxLength: 500, default: '' })
})

/** What the person sees. Whoever has the link may decide, as with any mail of this kind: put your own sign-in before it if that is too little. */
export const decide: FastifyPluginAsyncTypebox<{ links: ApprovalLinks }> = async (app, { links }) => {
  const { jobs } = app.logicApps

  // What a form sends. Within this plugin only: the API itself takes JSON.
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(body as string)))
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.type('text/html; charset=utf-8').headers({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
    })
  })
  app.setErrorHandler(async (error: { statusCode?: number }, request, reply) => {
    const isTheirs = (error.statusCode ?? 500) < 500
    if (!isTheirs) request.log.error({ err: error }, 'a decision failed')
    return reply.code(isTheirs ? 400 : 500).send(messagePage('This did not work', isTheirs ? 'Go back and choose again.' : 'Try again in a minute.'))
  })

  // The link is a key: it must not be in the log, where Fastify writes the URL of each request at level info.
  app.get('/decisions/:token', { logLevel: 'warn', schema: { params: Link } }, async ({ params }, reply) => {
    const request = links.find(params.token)
    const job = request === undefined ? undefined : await jobs.get(request.jobId)
    if (request === undefined || job === undefined) return reply.code(404).send(messagePage('Unknown link', 'It is wrong, too old, or was replaced by a newer one.'))
    return job.endedAt === null ? decisionPage(request) : messagePage(request.title, `Nothing is left to decide: ${job.status}.`)
  })

  app.post('/decisions/:token', { logLevel: 'warn', schema: { params: Link, body: Decision } }, async ({ params, body }, reply) => {
    const request = links.find(params.token)
    if (request === undefined) return reply.code(404).send(messagePage('Unknown link', 'It is wrong, too old, or was replaced by a newer one.'))
    const { decision, comment } = body
    try {
      // On disk when it resolves, together with the callback to the workflow.
      if (decision === 'approve') await jobs.complete(request.jobId, { approved: true, comment })
      else await jobs.fail(request.jobId, new JobError('Rejected', comment === '' ? 'The request was rejected.' : comment))
    } catch (error) {
      // Decided already, in time-out, or called off by the workflow: one end is recorded, once.
      if (!['FST_LOGIC_APPS_JOB_ALREADY_ENDED', 'FST_LOGIC_APPS_JOB_NOT_FOUND'].includes((error as { code?: string }).code ?? '')) throw error
      return reply.code(409).send(messagePage(request.title, 'Too late: nothing is left to decide.'))
    }
    return messagePage(request.title, `${decision === 'approve' ? 'Approved' : 'Rejected'}. The workflow goes on. You can close this page.`)
  })
}
