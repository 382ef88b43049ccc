import type { JobRecord } from '../../work/store.ts'

/** Records of jobs that are being polled, so that a poll costs no read. Small ones only: memory must stay flat. */
export interface RecordCache {
  get (number: number): JobRecord | undefined
  set (record: JobRecord): void
  delete (number: number): void
  clear (): void
}

const maxRecords = 20_000
const maxResultLength = 4096

export function createRecordCache (): RecordCache {
  // A Map keeps insertion order: the first entry is the one put in the longest ago.
  const records = new Map<number, JobRecord>()
  return {
    get: (number) => records.get(number),
    set (record) {
      if ((record.result?.length ?? 0) > maxResultLength) return
      if (records.size >= maxRecords) records.delete(records.keys().next().value!)
      records.set(record.number, record)
    },
    delete: (number) => { records.delete(number) },
    clear: () => { records.clear() }
  }
}
