import { statfsSync } from 'node:fs'
import { InvalidDatabaseError } from '../../errors.ts'

/** File systems shared between machines, by the magic number of statfs(2). */
const networkFileSystems = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre']
])

/**
 * SQLite's WAL needs memory shared by all its processes and locks that hold, which a network file system does not give
 * (https://www.sqlite.org/wal.html): two machines would quietly destroy the database.
 */
export function refuseNetworkFileSystem (folder: string): void {
  // The number is signed on some platforms.
  const name = networkFileSystems.get(statfsSync(folder).type >>> 0)
  if (name !== undefined) {
    throw new InvalidDatabaseError(`${folder} is on a network file system (${name}), where the embedded store would lose data: put it on a local disk, or use PostgreSQL`)
  }
}
