/** What was found last for some texts or numbers: what an engine asks again and again is computed once. */
export interface Recent<Value, Key extends string | number = string> {
  get (key: Key): Value | undefined
  /** Returns the value. */
  set (key: Key, value: Value): Value
}

/** @param maxLength Of a text: longer ones are not kept, where a caller chooses what stands in them. */
export function createRecent<Value, Key extends string | number = string> (most: number, maxLength = Infinity): Recent<Value, Key> {
  // A Map keeps insertion order: the first entry is the one put in the longest ago.
  const values = new Map<Key, Value>()
  return {
    get: (key) => values.get(key),
    set (key, value) {
      if (typeof key === 'string' && key.length > maxLength) return value
      values.delete(key)
      if (values.size >= most) values.delete(values.keys().next().value!)
      values.set(key, value)
      return value
    }
  }
}
