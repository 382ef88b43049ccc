import { splitUrl, WireError, type Transport, type WireResponse } from './wire.ts'

/** As much of a Fastify instance as is used: any version of it will do. */
export interface InjectableApp {
  inject (request: { method: never, url: string, headers: Record<string, string>, payload?: string | Buffer }): PromiseLike<{
    statusCode: number
    headers: Record<string, string | number | string[] | undefined>
    rawPayload: Buffer
  }>
}

export interface InjectOptions {
  app: InjectableApp
  /** Under which addresses the app is known, path prefixes included. An address that is not listed has no server. */
  addresses: () => readonly string[]
}

/** Requests without a socket, by `app.inject`. */
export function createInjectTransport ({ app, addresses }: InjectOptions): Transport {
  /** What is left of a URL below one of the app's addresses, as a proxy in front would pass it on. */
  function targetOf (url: string): { host: string, target: string } | undefined {
    const split = splitUrl(url)
    if (split === undefined) return undefined
    const { origin, target } = split
    for (const address of addresses()) {
      const base = splitUrl(address)!
      const prefix = base.target.replace(/\/+$/, '')
      if (base.origin !== origin) continue
      if (prefix === '' || target === prefix || target.startsWith(`${prefix}/`) || target.startsWith(`${prefix}?`)) {
        const rest = target.slice(prefix.length)
        return { host: new URL(origin).host, target: rest.startsWith('/') ? rest : `/${rest}` }
      }
    }
    return undefined
  }

  return {
    async send ({ method, url, headers, body }): Promise<WireResponse> {
      const found = targetOf(url)
      if (found === undefined) throw new WireError('UnresolvableHostName', `nothing listens at ${url.split('?')[0]}: the app is known as ${addresses().join(', ')}`)
      const answer = await app.inject({
        method: method as never,
        url: found.target,
        headers: { ...headers, host: found.host },
        ...(body === undefined ? {} : { payload: body })
      })
      return {
        statusCode: answer.statusCode,
        headers: Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, typeof value === 'number' ? String(value) : value])),
        body: answer.rawPayload
      }
    },
    close: async () => {}
  }
}
