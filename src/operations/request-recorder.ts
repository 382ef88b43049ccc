import type { FastifyRequest } from 'fastify'
import { InvalidContextError, InvalidOptionsError, InvalidRequestError, UnsupportedBodyError } from '../errors.ts'
import { trackingOf } from '../protocol/tracking-headers.ts'
import type { JobOptions } from './types.ts'
import type { SchemaCodec } from './schema-codec.ts'

/** Whose a request is, and what of it is kept: the work is done later, perhaps by another process. */
export interface RequestRecorder {
  /** @throws {InvalidOptionsError} when the host's `owner` gives none. */
  ownerOf (request: FastifyRequest): string | Promise<string>
  /**
   * The request as JSON text, and the part of it that decides what work is done.
   *
   * @param without Body and query in place of the request's: the callback URL is taken out before anything is kept.
   * @throws {InvalidContextError}
   */
  record (request: FastifyRequest, without?: { input: unknown, query: unknown }): Promise<{ text: string, fingerprinted: string }>
}

interface RecorderParts {
  operationId: string
  context: JobOptions['context']
  /** Known when the app is ready. */
  contextCodec: () => SchemaCodec | undefined
  owner: ((request: FastifyRequest) => string | Promise<string>) | undefined
}

/** The owner of everything where the host names none. */
const soleOwner = 'default'

export function createRequestRecorder ({ operationId, context, contextCodec, owner }: RecorderParts): RequestRecorder {
  async function namedOwner (name: string | Promise<string>): Promise<string> {
    const owner: unknown = await name
    // Never a default: it would mix up owners.
    if (typeof owner !== 'string' || owner === '' || owner.includes('\0')) throw new InvalidOptionsError('the owner option must give a non-empty string without NUL for every request')
    return owner
  }

  async function checkedContext (given: unknown): Promise<unknown> {
    const value = await given
    let plain: unknown
    try {
      plain = value === undefined ? undefined : JSON.parse(JSON.stringify(value))
    } catch (error) {
      throw new InvalidContextError(operationId, 'is no JSON value', { cause: error })
    }
    const checked = contextCodec()?.validate(plain) ?? { value: plain }
    if ('fault' in checked) throw new InvalidContextError(operationId, `does not fit contextSchema: ${checked.fault}`)
    return checked.value
  }

  return {
    ownerOf: (request) => owner === undefined ? soleOwner : namedOwner(owner(request)),

    async record (request, { input, query } = { input: request.body, query: request.query }) {
      const { body, params, headers } = request
      if (isBinary(body)) throw new UnsupportedBodyError()
      const kept = { context: context === undefined ? undefined : await checkedContext(context(request)), tracking: trackingOf(headers) }
      const fingerprinted = textOf({ input, params, query })
      return { text: `${fingerprinted.slice(0, -1)},${JSON.stringify(kept).slice(1)}`, fingerprinted }
    }
  }
}

/** A stream or bytes, from a content type parser of the host: a job is kept as JSON, which would make something else of it. */
function isBinary (body: unknown): boolean {
  return ArrayBuffer.isView(body) || body instanceof ArrayBuffer || typeof (body as { pipe?: unknown } | null | undefined)?.pipe === 'function'
}

function textOf (request: object): string {
  try {
    return JSON.stringify(request)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new InvalidRequestError('the request body is nested too deeply', { cause: error })
  }
}
