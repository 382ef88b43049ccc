/** Lets the event loop go round once. */
export const turn = async (): Promise<void> => await new Promise((resolve) => { setImmediate(resolve) })
