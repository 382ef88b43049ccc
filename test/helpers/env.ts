import type { Test } from 'tap'

/** Sets an environment variable for the time of the test. */
export function setEnv (t: Test, name: string, value: string): void {
  const before = process.env[name]
  process.env[name] = value
  t.teardown(() => {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  })
}
