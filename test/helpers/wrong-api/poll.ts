import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ApiParts } from './parts.ts'

interface Entry { event: object, at: number }

/** A polling trigger whose state is how far its reader has got. The function returned tells of an event. */
export function addPoll (app: FastifyInstance, { has, clock, origin }: ApiParts): (event: object) => void {
  const log: Entry[] = []
  const secondOf = (at: number): number => Math.floor(at / 1000)

  function pointTo (reply: FastifyReply, state: number): void {
    const path = `/poll?triggerState=${state}${has('state too long') ? 'x'.repeat(3000) : ''}`
    reply.header('location', has('relative state') ? path : origin + path)
    reply.header('retry-after', has('state with a date') ? new Date(clock.now()).toUTCString() : '15')
  }

  function nothing (reply: FastifyReply, state: number): FastifyReply {
    pointTo(reply, state)
    if (has('nothing new as 204')) return reply.code(204).send()
    if (has('nothing new as 404')) return reply.code(404).send()
    if (has('nothing new as an empty 200')) return reply.code(200).send()
    if (has('nothing new as an empty batch')) return reply.send({ value: [] })
    if (has('0 on a 202')) reply.header('retry-after', '0')
    return reply.code(202).send()
  }

  app.get<{ Querystring: { triggerState?: string } }>('/poll', async (request, reply) => {
    if (has('poll demands engine headers') && request.headers['x-ms-workflow-id'] === undefined) return await reply.code(400).send()
    if (has('poll refused')) return await reply.code(403).send()
    const given = request.query.triggerState
    const start = has('history at first poll') ? 0 : has('precision of a second') ? secondOf(clock.now()) : log.length
    if (given === undefined && !has('history at first poll')) return nothing(reply, has('history at second poll') ? 0 : start)
    const state = given === undefined ? start : Number.parseInt(given)
    const found = has('precision of a second') ? log.filter(({ at }) => secondOf(at) > state) : log.slice(state)
    const items = has('events lost on the way') ? found.slice(-1) : found
    if (items.length === 0) return nothing(reply, state)
    const next = has('precision of a second') ? secondOf(found.at(-1)!.at) : log.length
    pointTo(reply, has('state not moved') ? state : has('state one short') ? next - 1 : next)
    if (has('events never told')) return nothing(reply, state)
    if (has('read is removed')) for (const entry of items) log[log.indexOf(entry)] = { event: {}, at: entry.at }
    const value = items.map(({ event }) => event)
    return await reply.send(has('batch as an object') ? { value: Object.fromEntries(value.entries()) } : { value })
  })
  return (event) => { log.push({ event, at: clock.now() }) }
}
