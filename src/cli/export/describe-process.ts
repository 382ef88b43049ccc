/*
 * A process of its own for the app that is described: what loading it leaves behind, such as timers and connections, ends
 * with it. Started by describe-app.ts.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { UsageError } from '../command.ts'
import type { DescribeAnswer } from './describe-app.ts'
import { loadConnector, type LoadOptions } from './load-app.ts'

process.exit(await describe(JSON.parse(process.argv[2]!) as LoadOptions))

async function describe (options: LoadOptions): Promise<number> {
  try {
    const { document, patterns, close } = await loadConnector(options)
    await send({ document, patterns })
    // The host's own connections get their goodbye, and no more time than that takes.
    await Promise.race([close(), delay(5000)])
    return 0
  } catch (error) {
    const { message, stack = message, code = '' } = error as NodeJS.ErrnoException
    // Our own say what is wrong and how it is mended; for others it matters where they come from.
    const isOurs = error instanceof UsageError || code.startsWith('FST_LOGIC_APPS_')
    await send({ fault: isOurs ? message : stack })
    return 1
  }
}

function send (answer: DescribeAnswer): Promise<void> {
  return new Promise((resolve, reject) => { process.send!(answer, (error: Error | null) => error === null ? resolve() : reject(error)) })
}
