import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BundleFile } from '../../connector/bundle/bundle.ts'
import { workflowForms } from '../../connector/workflow/workflow.ts'

/** @returns what was done, a line each. */
export async function writeBundle (folder: string, files: readonly BundleFile[]): Promise<string[]> {
  const lines: string[] = []
  for (const { path, content } of files) {
    const file = join(folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
    lines.push(`wrote ${file}`)
  }
  for (const path of await leftOvers(folder, files)) {
    await rm(join(folder, path))
    lines.push(`removed ${join(folder, path)}: there is no such operation any more`)
  }
  return lines
}

/** @returns what is not as it would be written, a line each. */
export async function compareBundle (folder: string, files: readonly BundleFile[]): Promise<string[]> {
  const lines: string[] = []
  for (const { path, content } of files) {
    const written = await readFile(join(folder, path)).catch(absent)
    if (written === undefined) lines.push(`${path} is missing`)
    else if (!written.equals(Buffer.from(content))) lines.push(`${path} is not as it would be written`)
  }
  for (const path of await leftOvers(folder, files)) lines.push(`${path} would be removed: there is no such operation any more`)
  return lines
}

/** Workflows of operations that are gone. Nothing else in the folder is ours to remove. */
async function leftOvers (folder: string, files: readonly BundleFile[]): Promise<string[]> {
  const names = await readdir(join(folder, 'workflows')).catch(absent) ?? []
  const isOurs = new RegExp(`^\\w[\\w.-]*\\.(?:${workflowForms.join('|')})\\.json$`)
  return names.filter((name) => isOurs.test(name)).map((name) => `workflows/${name}`)
    .filter((path) => !files.some((file) => file.path === path)).toSorted()
}

function absent (error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw error
}
