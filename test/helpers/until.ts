import { setTimeout as delay } from 'node:timers/promises'

/** Waits in real time, since other processes do: until it is so. A test's own timeout ends a wait in vain. */
export async function until (isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!await isSo()) await delay(20)
}
