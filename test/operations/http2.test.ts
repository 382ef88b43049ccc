import { once } from 'node:events'
import { connect, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { FastifyServerOptions } from 'fastify'
import { test } from 'tap'
import { createApp, pathOf } from '../helpers/app.ts'
import { addCakes } from '../helpers/cakes.ts'

test('over HTTP/2 a job is started, polled and canceled as over HTTP/1.1', async (t) => {
  const { app } = await createApp(t, { baseUrl: undefined }, { http2: true } as FastifyServerOptions)
  addCakes(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const session = connect(base)
  t.teardown(() => { session.destroy() })
  const send = async (method: string, path: string, body?: string, contentType = 'application/json'): Promise<IncomingHttpHeaders> => {
    const stream = session.request({ ':method': method, ':path': path, ...(body === undefined ? {} : { 'content-type': contentType }) }, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    const [headers] = await once(stream, 'response') as [IncomingHttpHeaders]
    await stream.resume().toArray()
    return headers
  }
  const accepted = await send('POST', '/cakes', '{"flavour":"lemon"}')
  t.equal(accepted[':status'], 202)
  t.ok(accepted.location!.startsWith(`${base}/cakes/jobs/`))
  const path = pathOf(accepted.location)
  t.match(await send('GET', path), { ':status': 202, location: accepted.location, 'retry-after': '5' })
  t.equal((await send('DELETE', path, 'whatever', 'foo/bar'))[':status'], 204)
  t.equal((await send('GET', path))[':status'], 422)
})
