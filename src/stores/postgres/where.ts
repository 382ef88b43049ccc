import { whereOf, type Conditions } from '../filters.ts'

/** The WHERE clause of those conditions that have a value; `?` in each becomes the value's own parameter. */
export function numberedWhereOf (conditions: Conditions): ReturnType<typeof whereOf> {
  const { where, values } = whereOf(conditions)
  let place = 0
  return { where: where.replaceAll('?', () => `$${++place}`), values }
}
