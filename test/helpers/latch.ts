/** A promise that a test settles by hand: the way to hold a handler where it is. */
export interface Latch<T = void> {
  promise: Promise<T>
  open: (value: T) => void
  fail: (error: unknown) => void
}

export function createLatch<T = void> (): Latch<T> {
  let open!: Latch<T>['open']
  let fail!: Latch<T>['fail']
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { promise, open, fail }
}
