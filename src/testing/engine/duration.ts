const units = { D: 86_400_000, H: 3_600_000, M: 60_000, S: 1000 } as const
const pattern = /^P(?=.)(?:(\d+(?:\.\d+)?)D)?(?:T(?=.)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/

/**
 * ISO 8601 as workflow JSON writes it, in milliseconds. Weeks, months and years are not played.
 *
 * @throws {TypeError} naming `what`.
 */
export function durationMs (text: string, what: string): number {
  const parts = typeof text === 'string' ? pattern.exec(text) : null
  if (parts === null) throw new TypeError(`${what} must be an ISO 8601 duration of days, hours, minutes and seconds, such as "PT30S"; got ${JSON.stringify(text)}`)
  const [, days = '0', hours = '0', minutes = '0', seconds = '0'] = parts
  return Number(days) * units.D + Number(hours) * units.H + Number(minutes) * units.M + Number(seconds) * units.S
}

/** A duration, or plain milliseconds. */
export type Duration = string | number

export function toMs (duration: Duration, what: string): number {
  return typeof duration === 'number' ? duration : durationMs(duration, what)
}
