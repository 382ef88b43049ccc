import { lookup, type LookupAddress, type LookupAllOptions } from 'node:dns'

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void

/** `dns.lookup` for all addresses of a name. */
export type SharedLookup = (hostname: string, options: LookupAllOptions, answer: Answer) => void

interface Question {
  hostname: string
  options: LookupAllOptions
  answers: Answer[]
  /** When somebody last joined it. */
  askedAt: number
}

/**
 * `dns.lookup` holds a thread of libuv's pool until the system's resolver answers, which for a name whose servers are
 * dead takes seconds. libuv gives lookups half of the pool (2 of 4 threads) and takes them in turn, so that a thousand
 * dead names would keep the lookups of the whole process waiting: that of its database too. Two of ours at once leave a
 * line in which nobody else stands far behind.
 */
const maxRunning = 2
/** The socket that asked gives up then (see sender.ts), and may have left a question that nobody waits for. */
export const connectTimeoutMs = 10_000

/**
 * Calls for one name share one lookup while it is under way; nothing is kept once it is answered. c-ares, which needs no
 * threads, reads no hosts file and no search domains, by which private endpoints are often named.
 *
 * @param monotonic Milliseconds, for tests.
 */
export function createSharedLookup (monotonic: () => number = () => performance.now()): SharedLookup {
  const running = new Map<string, Question>()
  const waiting = new Map<string, Question>()

  function begin (): void {
    for (const [key, question] of waiting) {
      if (running.size >= maxRunning) return
      waiting.delete(key)
      if (monotonic() - question.askedAt >= connectTimeoutMs) {
        const late = Object.assign(new Error(`${question.hostname} was not looked up in time: other names were slow`), { code: 'ETIMEDOUT' })
        for (const answer of question.answers) answer(late, [])
        continue
      }
      lookup(question.hostname, question.options, (error, addresses) => {
        running.delete(key)
        for (const answer of question.answers) answer(error, addresses)
        begin()
      })
      running.set(key, question)
    }
  }

  return (hostname, options, answer) => {
    const key = JSON.stringify([hostname, options])
    const question = running.get(key) ?? waiting.get(key) ?? { hostname, options, answers: [], askedAt: 0 }
    question.answers.push(answer)
    question.askedAt = monotonic()
    if (running.has(key)) return
    waiting.set(key, question)
    begin()
  }
}
