import { type FastifyPluginAsyncTypebox, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyRequest } from 'fastify'
import { expect, test } from 'tstyche'
import { Type } from 'typebox'
import type { AsyncActionHandler, Deferred } from '../../src/index.ts'
import '../../src/index.ts'

const Order = Type.Object({ flavour: Type.String(), tiers: Type.Optional(Type.Integer()) })
const Cake = Type.Object({ id: Type.String(), bakedAt: Type.String({ format: 'date-time' }) })
const Shop = Type.Object({ shop: Type.Integer() })
const Rush = Type.Object({ rush: Type.Boolean() })

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
const bare = Fastify()

test('with TypeBox, input, params and query are what the schemas say', () => {
  app.asyncAction('/shops/:shop/cakes', {
    schema: { operationId: 'BakeCake', summary: 'Bake a cake', tags: ['cakes'], body: Order, params: Shop, querystring: Rush },
    result: Cake
  }, async (job) => {
    expect(job.input).type.toBe<{ flavour: string, tiers?: number }>()
    expect(job.params).type.toBe<{ shop: number }>()
    expect(job.query).type.toBe<{ rush: boolean }>()
    expect(job.context).type.toBe<undefined>()
    expect(job.signal).type.toBe<AbortSignal>()
    return { id: job.id, bakedAt: '2026-01-01T00:00:00Z' }
  })
})

test('parts without a schema are unknown', () => {
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, (job) => {
    expect(job.input).type.toBe<unknown>()
    expect(job.params).type.toBe<unknown>()
    expect(job.query).type.toBe<unknown>()
  })
})

test('the context is what context() gives, now or later', () => {
  app.asyncAction('/now', {
    schema: { operationId: 'Now' },
    context: (request) => {
      expect(request).type.toBe<FastifyRequest>()
      return { user: String(request.headers['x-user']) }
    }
  }, (job) => { expect(job.context).type.toBe<{ user: string }>() })
  app.asyncAction('/later', { schema: { operationId: 'Later' }, context: async () => 7 }, (job) => {
    expect(job.context).type.toBe<number>()
  })
})

test('a wrong result does not compile', () => {
  // @ts-expect-error Type 'number' is not assignable to type 'string'.
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, result: Cake }, async () => ({ id: 7, bakedAt: '' }))
  // @ts-expect-error Property 'bakedAt' is missing
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, result: Cake }, () => ({ id: '7' }))
  // @ts-expect-error is not assignable to parameter of type
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, result: Cake }, async () => {})
  // @ts-expect-error Type 'string' is not assignable to type
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, result: Cake }, async () => 'a cake')
})

test('a wrong use of the input does not compile', () => {
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: Order } }, (job) => {
    // @ts-expect-error Property 'colour' does not exist on type
    const colour: unknown = job.input.colour
    // @ts-expect-error Type 'string' is not assignable to type 'number'.
    const wrong: number = job.input.flavour
    // @ts-expect-error 'job.params' is of type 'unknown'.
    const shop: unknown = job.params.shop
    return [colour, wrong, shop]
  })
})

test('an operation without operationId does not compile', () => {
  // @ts-expect-error Property 'operationId' is missing
  app.asyncAction('/cakes', { schema: { body: Order } }, () => {})
  // @ts-expect-error Property 'schema' is missing
  app.asyncAction('/cakes', {}, () => {})
  // @ts-expect-error Type 'number' is not assignable to type 'string'.
  app.asyncAction('/cakes', { schema: { operationId: 7 } }, () => {})
  // @ts-expect-error Expected 3 arguments, but got 2.
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } })
})

test('options that are misspelt or wrong do not compile', () => {
  // @ts-expect-error does not exist in type
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, retryAfter: 5 }, () => {})
  // @ts-expect-error Type 'string' is not assignable to type 'number'.
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, timeoutSeconds: '5' }, () => {})
  // @ts-expect-error does not exist in type 'MonitorHooks'
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, monitorHooks: { onRequst: async () => {} } }, () => {})
})

test('route options of Fastify are taken', () => {
  app.asyncAction('/cakes', {
    schema: { operationId: 'BakeCake', body: Order },
    bodyLimit: 10_000_000,
    constraints: { version: '1.0.0' },
    onRequest: async (request) => { expect(request.url).type.toBe<string>() },
    preHandler: [async () => {}],
    monitorHooks: { onRequest: async () => {}, preHandler: [async () => {}] }
  }, () => {})
})

test('without a type provider a plain JSON Schema works, and all is unknown', () => {
  bare.asyncAction('/cakes', {
    schema: { operationId: 'BakeCake', body: { type: 'object', properties: { flavour: { type: 'string' } }, required: ['flavour'] } },
    result: { type: 'object', properties: { id: { type: 'string' } } }
  }, async (job) => {
    expect(job.input).type.toBe<unknown>()
    return { id: (job.input as { flavour: string }).flavour }
  })
})

test('without a result schema a handler may return anything, or nothing', () => {
  app.asyncAction('/one', { schema: { operationId: 'One' } }, () => {})
  app.asyncAction('/two', { schema: { operationId: 'Two' } }, async () => ({ any: ['thing'] }))
  app.asyncAction('/three', { schema: { operationId: 'Three' } }, async (job) => { await job.sleep(1) })
})

test('job.defer() may be returned, whatever the result schema', () => {
  app.asyncAction('/one', { schema: { operationId: 'One' }, result: Cake }, (job) => job.defer())
  app.asyncAction('/two', { schema: { operationId: 'Two' }, result: Cake }, async (job) => {
    expect(job.defer()).type.toBe<Deferred>()
    return job.attempt > 1 ? job.defer() : { id: '7', bakedAt: '' }
  })
  app.asyncAction('/three', { schema: { operationId: 'Three' } }, (job) => job.defer())
  // @ts-expect-error is not assignable to parameter of type
  app.asyncAction('/four', { schema: { operationId: 'Four' }, result: Cake }, (job) => job.defer)
})

test('the instance is given back, with its type provider', () => {
  expect(app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, () => {})).type.toBe<typeof app>()
  app
    .asyncAction('/one', { schema: { operationId: 'One', body: Order } }, (job) => job.input.flavour)
    .asyncAction('/two', { schema: { operationId: 'Two', body: Shop } }, (job) => job.input.shop)
    .get('/three', { schema: { querystring: Rush } }, (request) => request.query.rush)
})

test('in a child scope the types are those of its type provider', () => {
  const plugin: FastifyPluginAsyncTypebox = async (child) => {
    child.asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: Order }, result: Cake }, async (job) => {
      expect(job.input).type.toBe<{ flavour: string, tiers?: number }>()
      return { id: '7', bakedAt: '' }
    })
  }
  app.register(plugin, { prefix: '/v1' })
  bare.register(async (child) => {
    child.withTypeProvider<TypeBoxTypeProvider>().asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: Shop } }, (job) => {
      expect(job.input).type.toBe<{ shop: number }>()
    })
  })
})

test('instances with another server or logger have the decorator too', () => {
  const http2 = Fastify({ http2: true }).withTypeProvider<TypeBoxTypeProvider>()
  http2.asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: Order } }, (job) => {
    expect(job.input.flavour).type.toBe<string>()
  })
})

test('a handler can be written apart', () => {
  const bake: AsyncActionHandler<{ operationId: string, body: typeof Order }, typeof Cake, undefined, TypeBoxTypeProvider> = async ({ id, input }) => {
    expect(input).type.toBe<{ flavour: string, tiers?: number }>()
    return { id, bakedAt: input.flavour }
  }
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: Order }, result: Cake }, bake)
})
