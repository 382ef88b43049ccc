/** Refuses a release whose notes are not written: run by `npm version` before it changes anything. */
import { readFileSync } from 'node:fs'

const changelog = readFileSync(new URL('../CHANGELOG.md', import.meta.url), 'utf8')
const unreleased = /^## \[?Unreleased\]?$(.*?)(?=^## |(?![^]))/ims.exec(changelog)?.[1]
const entries = unreleased?.match(/^\s*[-*] \S/gm) ?? []

if (entries.length === 0) {
  console.error('CHANGELOG.md has no entry under "## Unreleased": write what changes for users, then run `npm version` again.')
  process.exit(1)
}
