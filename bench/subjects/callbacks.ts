/* Receivers of callbacks, and an undici loop that posts the same bodies and stores nothing. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import { serve } from './subject.ts'

const hosts = 20

await serve<{ kind: 'receiver' | 'undici' }>(async ({ kind }) => {
  if (kind === 'receiver') {
    let received = 0
    let wanted = Infinity
    let whenAll = (): void => {}
    const server: Server = createServer((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(200).end()
        if (++received >= wanted) whenAll()
      })
    })
    await new Promise<void>((resolve) => { server.listen(0, '0.0.0.0', resolve) })
    const { port } = server.address() as AddressInfo
    return {
      close: () => { server.closeAllConnections() },
      methods: {
        // All of 127.0.0.0/8 is this machine: as many hosts as one likes.
        urls: (count: number) => Array.from({ length: count }, (_, index) => `http://127.1.0.${index % hosts + 1}:${port}/${index}`),
        expect: (count: number) => new Promise<void>((resolve) => {
          [received, wanted, whenAll] = [0, count, resolve]
        })
      }
    }
  }
  const agent = new Agent({ connections: 64, pipelining: 1 })
  return {
    close: () => agent.close(),
    methods: {
      async post (urls: string[], concurrency: number) {
        const body = JSON.stringify({ sensor: 'oven 1', celsius: 181, note: 'x'.repeat(40) })
        let next = 0
        await Promise.all(Array.from({ length: concurrency }, async () => {
          while (next < urls.length) {
            const url = new URL(urls[next++]!)
            const { body: answer } = await agent.request({ origin: url.origin, path: url.pathname, method: 'POST', headers: { 'content-type': 'application/json' }, body })
            await answer.dump()
          }
        }))
      }
    }
  }
})
