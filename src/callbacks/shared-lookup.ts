import { lookup, type LookupAddress, type LookupAllOptions } from 'node:dns'

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void

/** `dns.lookup` for all addresses of a name. */
export type SharedLookup = (hostname: string, options: LookupAllOptions, answer: Answer) => void

/** The name was not looked up: others were slow. That says nothing of it. */
export class LookupTurnError extends Error {
  override readonly name = 'LookupTurnError'
}

interface Question {
  hostname: string
  options: LookupAllOptions
  answers: Set<Answer>
  isProved: boolean
}

/**
 * `dns.lookup` holds a thread of libuv's pool until the system's resolver answers, which for a name whose servers are
 * dead takes seconds. libuv gives lookups half of the pool (2 of 4 threads) and takes them in turn, so that a thousand
 * dead names would keep the lookups of the whole process waiting: that of its database too. Two of ours at once leave a
 * line in which nobody else stands far behind. One of the two is for names that were found quickly the last time: with
 * both held by dead names, a third would wait for them in libuv.
 */
const maxRunning = 2
const quickMs = 2_000
const maxRemembered = 10_000

/**
 * Calls for one name share one lookup while it is under way; no address is kept once it is answered. c-ares, which needs
 * no threads, reads no hosts file and no search domains, by which private endpoints are often named.
 *
 * @param turnMs How long a call waits for its turn before it fails with a {@link LookupTurnError}.
 */
export function createSharedLookup (turnMs = 5_000): SharedLookup {
  const running = new Map<string, Question>()
  /** By how the last lookup of a name went, those of one line in the order they were asked for. */
  const lines = { proved: new Map<string, Question>(), unknown: new Map<string, Question>(), failing: new Map<string, Question>() }
  /** The least recent stands first. */
  const proved = new Set<string>()
  const failing = new Set<string>()

  function remember (hostname: string, isGood: boolean): void {
    proved.delete(hostname)
    failing.delete(hostname)
    const names = isGood ? proved : failing
    names.add(hostname)
    if (names.size > maxRemembered) names.delete(names.values().next().value!)
  }

  function lineFor (key: string, hostname: string): Map<string, Question> {
    return Object.values(lines).find((line) => line.has(key)) ?? lines[proved.has(hostname) ? 'proved' : failing.has(hostname) ? 'failing' : 'unknown']
  }

  function takeNext (): [string, Question] | undefined {
    const isOtherRunning = [...running.values()].some(({ isProved }) => !isProved)
    for (const line of isOtherRunning ? [lines.proved] : [lines.unknown, lines.failing, lines.proved]) {
      const [first] = line
      if (first === undefined) continue
      line.delete(first[0])
      return first
    }
    return undefined
  }

  function begin (): void {
    while (running.size < maxRunning) {
      const next = takeNext()
      if (next === undefined) return
      const [key, question] = next
      const { hostname, options, answers } = question
      const began = performance.now()
      running.set(key, question)
      lookup(hostname, options, (error, addresses) => {
        running.delete(key)
        remember(hostname, error === null && performance.now() - began < quickMs)
        for (const answer of answers) answer(error, addresses)
        begin()
      })
    }
  }

  return (hostname, options, answer) => {
    const key = JSON.stringify([hostname, options])
    const underWay = running.get(key)
    if (underWay !== undefined) {
      underWay.answers.add(answer)
      return
    }
    const line = lineFor(key, hostname)
    const question = line.get(key) ?? { hostname, options, answers: new Set(), isProved: line === lines.proved }
    line.set(key, question)
    const answerInTime: Answer = (error, addresses) => {
      clearTimeout(timer)
      answer(error, addresses)
    }
    const timer = setTimeout(() => {
      // It has its turn: now it is the resolver's to answer.
      if (running.get(key) === question) return
      question.answers.delete(answerInTime)
      if (question.answers.size === 0) line.delete(key)
      answer(new LookupTurnError(`${hostname} was not looked up in time: other names were slow`), [])
    }, turnMs)
    // Where there is a line there is a lookup under way, and that keeps the process.
    timer.unref()
    question.answers.add(answerInTime)
    begin()
  }
}
