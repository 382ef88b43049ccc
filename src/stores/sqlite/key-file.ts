import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { InvalidDatabaseError } from '../../errors.ts'

/** The secret kept beside the database for hosts that set none: 32 random bytes, readable by the owner alone. */
export function readKeyFile (file: string): Uint8Array {
  let key: Buffer
  try {
    key = readFileSync(file)
  } catch (error) {
    throw new InvalidDatabaseError(`the key file ${file} cannot be read, and every URL handed out depends on it: restore it, or set the secret option`, { cause: error })
  }
  if (key.length !== 32) throw new InvalidDatabaseError(`the key file ${file} has ${key.length} bytes instead of 32: restore it, or set the secret option`)
  return key
}

/** To be called by one process at a time. Renamed when it is whole; a draft that a killed process left is written over. */
export function makeKeyFile (file: string): void {
  if (existsSync(file)) return
  const draft = `${file}.draft`
  writeFileSync(draft, randomBytes(32), { mode: 0o600, flush: true })
  renameSync(draft, file)
  // The new name must outlive a power cut, as the database's note of it does. Windows syncs no folders.
  if (process.platform === 'win32') return
  const folder = openSync(dirname(file), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
