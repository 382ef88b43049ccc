import { readFile } from 'node:fs/promises'
import { UsageError } from './command.ts'

/** Reads a document from a file or an address. @throws {UsageError} where there is no JSON object. */
export async function readDocument (from: string): Promise<object> {
  const text = /^https?:\/\//i.test(from) ? await fetchText(from) : await readFile(from, 'utf8').catch((error: Error) => { throw new UsageError(`${from} cannot be read: ${error.message}`) })
  let document: unknown
  try {
    document = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw new UsageError(`${from} is no JSON: ${(error as Error).message}. Connectors are read as JSON, so a YAML file must be converted first`, { cause: error })
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw new UsageError(`${from} is no Swagger document: it holds no JSON object`)
  return document
}

async function fetchText (url: string): Promise<string> {
  let response: Response
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(30_000) })
  } catch (error) {
    const { message, cause } = error as Error
    throw new UsageError(`${url} cannot be reached: ${cause instanceof Error ? cause.message : message}`, { cause: error })
  }
  if (!response.ok) throw new UsageError(`${url} was answered ${response.status}: the document must be open to all, since the designer sends no credentials`)
  return await response.text()
}
