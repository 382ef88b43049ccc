/** Whether this Node.js can write it: from 26 on, JSON may be nested as deeply as memory allows. */
export function isWritable (value: unknown): boolean {
  try {
    JSON.stringify(value)
    return true
  } catch {
    return false
  }
}
