import type { JobRecord } from '../../work/store.ts'

/** Records of jobs that are being polled, so that a poll costs no read. Small ones only: memory must stay flat. */
export interface RecordCache {
  get (number: number): JobRecord | undefined
  set (record: JobRecord): void
  delete (number: number): void
  clear (): void
}

const maxRecords = 20_000
const maxTextLength = 4096

export function createRecordCache (): RecordCache {
  // A Map keeps insertion order: the first entry is the one put in the longest ago.
  const records = new Map<number, JobRecord>()
  return {
    get: (number) => records.get(number),
    set (record) {
      if (textLength(record) > maxTextLength) return
      if (records.size >= maxRecords) records.delete(records.keys().next().value!)
      records.set(record.number, record)
    },
    delete: (number) => { records.delete(number) },
    clear: () => { records.clear() }
  }
}

/** Of everything in a record that has no size of its own. Details are few: measured as the text they were read from. */
function textLength ({ result, message, owner, failure }: JobRecord): number {
  const failureLength = failure === null ? 0 : failure.message.length + (failure.details === undefined ? 0 : JSON.stringify(failure.details).length)
  return (result?.length ?? 0) + message.length + owner.length + failureLength
}
