interface Waiting<Item, Result> {
  item: Item
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

/**
 * Turns calls with one item each into calls with many: what is asked within one turn of the event loop goes together,
 * so that fifty concurrent requests share one commit. `setImmediate`, since a microtask would never find company: the
 * requests of a turn are parsed one by one with the microtask queue emptied in between.
 *
 * @param run Gives one result for each item, in order. When it rejects, so do all.
 */
export function createBatcher<Item, Result> (run: (items: Item[]) => Promise<Result[]>, maxItems = 500): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = []

  function flush (): void {
    const batch = waiting.splice(0, maxItems)
    if (waiting.length > 0) setImmediate(flush)
    run(batch.map(({ item }) => item)).then(
      (results) => batch.forEach(({ resolve }, index) => resolve(results[index]!)),
      (error: unknown) => batch.forEach(({ reject }) => reject(error)))
  }

  return (item) => new Promise((resolve, reject) => {
    if (waiting.push({ item, resolve, reject }) === 1) setImmediate(flush)
  })
}
