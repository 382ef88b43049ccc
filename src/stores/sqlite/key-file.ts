import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { InvalidDatabaseError } from '../../errors.ts'

/**
 * The secret kept beside the database for hosts that set none: 32 random bytes, readable by the owner alone.
 *
 * @param isNew Whether the database never had a key file.
 */
export function readKeyFile (file: string, isNew: boolean): Uint8Array {
  if (isNew) createKeyFile(file)
  let key: Buffer
  try {
    key = readFileSync(file)
  } catch (error) {
    throw new InvalidDatabaseError(`the key file ${file} cannot be read, and every URL handed out depends on it: restore it, or set the secret option`, { cause: error })
  }
  if (key.length !== 32) throw new InvalidDatabaseError(`the key file ${file} has ${key.length} bytes instead of 32: restore it, or set the secret option`)
  return key
}

function createKeyFile (file: string): void {
  // Written under another name and linked, so that a second process finds the whole key or none, and the first one wins.
  const draft = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`
  writeFileSync(draft, randomBytes(32), { mode: 0o600, flag: 'wx', flush: true })
  try {
    linkSync(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
}
