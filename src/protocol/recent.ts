/** What was found last for some texts: what an engine asks again and again is computed once. */
export interface Recent<Value> {
  get (key: string): Value | undefined
  /** Returns the value. */
  set (key: string, value: Value): Value
}

/** @param maxLength Of a text: longer ones are not kept, where a caller chooses what stands in them. */
export function createRecent<Value> (most: number, maxLength = Infinity): Recent<Value> {
  // A Map keeps insertion order: the first entry is the one put in the longest ago.
  const values = new Map<string, Value>()
  return {
    get: (key) => values.get(key),
    set (key, value) {
      if (key.length > maxLength) return value
      if (values.size >= most) values.delete(values.keys().next().value!)
      values.set(key, value)
      return value
    }
  }
}
