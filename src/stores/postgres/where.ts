/** The WHERE clause of those conditions that have a value; `?` in each becomes the value's own parameter. */
export function whereOf (conditions: Record<string, string | number | undefined>): { where: string, values: (string | number)[] } {
  const given = Object.entries(conditions).filter((condition): condition is [string, string | number] => condition[1] !== undefined)
  return {
    where: given.length === 0 ? '' : `WHERE ${given.map(([text], index) => text.replace('?', `$${index + 1}`)).join(' AND ')}`,
    values: given.map(([, value]) => value)
  }
}
