import type { Test } from 'tap'

/** All rejections that nobody handles, until the test ends. */
export function watchRejections (t: Test): unknown[] {
  const rejections: unknown[] = []
  const listener = (error: unknown): void => { rejections.push(error) }
  process.on('unhandledRejection', listener)
  t.teardown(() => { process.off('unhandledRejection', listener) })
  return rejections
}
