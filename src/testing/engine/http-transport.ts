import { Agent } from 'undici'
import { splitUrl, WireError, type Transport } from './wire.ts'

/** Requests over sockets. Path and query are sent as they stand, and redirects are not followed (engine 1.14). */
export function createHttpTransport (): Transport {
  const agent = new Agent({ connections: 16, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
  return {
    async send ({ method, url, headers, body }, signal) {
      const split = splitUrl(url)
      if (split === undefined) throw new WireError('InvalidUrl', `${url.split('?')[0]} is no absolute http or https URL`)
      try {
        const answer = await agent.request({ origin: split.origin, path: split.target, method, headers, body: body ?? null, signal })
        return { statusCode: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) }
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        throw new WireError(code === 'ENOTFOUND' ? 'UnresolvableHostName' : code ?? 'ConnectionFailure', message, { cause: error })
      }
    },
    close: () => agent.destroy()
  }
}
