/**
 * How long a start may wait for the end of its job, in seconds: what the operation allows, lowered by the caller's
 * `Prefer: wait=n` or `Prefer: respond-async` (RFC 7240, 4.1 and 4.3). A caller can never raise it.
 */
export function preferredWaitSeconds (prefer: string | string[] | undefined, waitSeconds: number): number {
  if (prefer === undefined || waitSeconds === 0) return waitSeconds
  const preferences = new Map<string, string>()
  // Quoted text that holds a separator is nothing we ask for. Of what is said twice the first counts (RFC 7240, 2).
  for (const preference of String(prefer).toLowerCase().replaceAll(/"([^",;]*)"|"[^"]*"/g, '$1').split(',')) {
    const [name = '', value = ''] = preference.split(';', 1)[0]!.split('=').map((part) => part.trim())
    if (!preferences.has(name)) preferences.set(name, value)
  }
  const wait = preferences.get('wait')
  if (wait !== undefined && /^\d{1,9}$/.test(wait)) return Math.min(waitSeconds, Number(wait))
  return preferences.has('respond-async') ? 0 : waitSeconds
}
