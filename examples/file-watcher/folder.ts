import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Where a reader is: behind the file of this time and name. Several files can have the same time, so the time alone would lose some. */
export interface FilePlace {
  /** Nanoseconds since 1970, as text: a file system is more exact than a number is. */
  time: string
  name: string
}

export interface FoundFile extends FilePlace {
  size: number
  content: string
}

export interface Folder {
  /** A place behind which every file is that comes from now on. */
  now (): FilePlace
  /** The first file behind a place, and whether more wait. */
  next (place: FilePlace, signal: AbortSignal): Promise<{ file: FoundFile | undefined, more: boolean }>
}

interface Options {
  /** How long a file must have been left alone before it counts as written, in milliseconds. */
  settleMs: number
  /** Wall clock, epoch milliseconds. */
  now: () => number
}

type Listed = FilePlace & { size: number }

const statsAtOnce = 64

export function openFolder (path: string, { settleMs, now }: Options): Folder {
  /** What was found last: a burst of files is listed once, not once for each poll. Other processes have their own. */
  let listed: { after: FilePlace, files: Listed[] } | undefined

  /** Files behind a place, oldest first. Those that come later stand behind all that were listed before. */
  async function filesAfter (place: FilePlace, signal: AbortSignal): Promise<Listed[]> {
    const known = listed === undefined || compare(place, listed.after) < 0 ? [] : listed.files.slice(firstAfter(listed.files, place))
    if (known.length > 0) return known
    listed = { after: place, files: await listAfter(place, signal) }
    return listed.files
  }

  /** Files behind a place that nobody writes to any more, oldest first. */
  async function listAfter (place: FilePlace, signal: AbortSignal): Promise<Listed[]> {
    // Whatever changes after this moment gets a later time, so that nothing can come to stand before a file that was given.
    const settledBefore = BigInt(Math.floor(now() - settleMs)) * 1_000_000n
    const entries = await readdir(path, { withFileTypes: true })
    const names = entries.filter((entry) => entry.isFile() && !entry.name.startsWith('.')).map(({ name }) => name)
    const found: Listed[] = []
    for (let index = 0; index < names.length; index += statsAtOnce) {
      signal.throwIfAborted()
      await Promise.all(names.slice(index, index + statsAtOnce).map(async (name) => {
        const stats = await stat(join(path, name), { bigint: true }).catch(unlessGone)
        // `ctime` and not `mtime`: a file that is moved in, or copied with its date, is new here, however old it is.
        if (stats === undefined || stats.ctimeNs >= settledBefore) return
        const file = { time: String(stats.ctimeNs), name, size: Number(stats.size) }
        if (compare(file, place) > 0) found.push(file)
      }))
    }
    return found.sort(compare)
  }

  /** The first that is still as it was listed. One that was deleted or renamed is not; one that was written again has a later place by now. */
  async function firstOf (files: Listed[]): Promise<{ file: FoundFile, more: boolean } | undefined> {
    for (const [index, file] of files.entries()) {
      if (!await isUnchanged(file)) continue
      const content = await readFile(join(path, file.name), 'utf8').catch(unlessGone)
      if (content !== undefined && await isUnchanged(file)) return { file: { ...file, content }, more: index < files.length - 1 }
    }
    return undefined
  }

  async function isUnchanged ({ name, time }: Listed): Promise<boolean> {
    const stats = await stat(join(path, name), { bigint: true }).catch(unlessGone)
    return String(stats?.ctimeNs) === time
  }

  return {
    // Nothing that is settled is new, and what is not settled yet comes later.
    now: () => ({ time: String(BigInt(Math.floor(now() - settleMs)) * 1_000_000n), name: '' }),

    async next (place, signal) {
      const found = await firstOf(await filesAfter(place, signal))
      if (found !== undefined) return found
      // All that was left of the last list is gone, which says nothing of what came since.
      listed = undefined
      return await firstOf(await filesAfter(place, signal)) ?? { file: undefined, more: false }
    }
  }
}

/** By halves: `files` are in order. */
function firstAfter (files: FilePlace[], place: FilePlace): number {
  let [low, high] = [0, files.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compare(files[middle]!, place) > 0) high = middle
    else low = middle + 1
  }
  return low
}

function unlessGone (error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** By time, then by name. As plain texts: what a language makes of an umlaut must not change the order. */
function compare (a: FilePlace, b: FilePlace): number {
  const [timeA, timeB] = [BigInt(a.time), BigInt(b.time)]
  if (timeA !== timeB) return timeA < timeB ? -1 : 1
  return a.name === b.name ? 0 : a.name < b.name ? -1 : 1
}
