/** What is on the menu. */
export const flavours = [
  { id: 'chocolate', name: 'Dark chocolate' },
  { id: 'lemon', name: 'Lemon drizzle' },
  { id: 'carrot', name: 'Carrot and walnut' },
  { id: 'vanilla', name: 'Vanilla sponge' }
]

/** On no menu, but it can be ordered: the cake that always goes wrong, to see how a failed job looks. */
export const burnt = 'burnt'
