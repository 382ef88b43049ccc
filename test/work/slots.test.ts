import { test } from 'tap'
import { createSlots } from '../../src/work/slots.ts'

test('holds what was added and not freed, in slots that are used again', async (t) => {
  const slots = createSlots<{ name: string }>()
  const [a, b, c] = ['a', 'b', 'c'].map((name) => slots.add({ name })) as [number, number, number]
  t.equal(slots.size, 3)
  slots.free(b)
  t.same(slots.values().map(({ name }) => name), ['a', 'c'])
  t.equal(slots.add({ name: 'd' }), b)
  t.same(slots.values().map(({ name }) => name).sort(), ['a', 'c', 'd'])
  for (const slot of [a, b, c]) slots.free(slot)
  t.same([slots.size, slots.values()], [0, []])
  t.ok([slots.add({ name: 'e' }), slots.add({ name: 'f' }), slots.add({ name: 'g' })].every((slot) => [a, b, c].includes(slot)), 'it is no longer than what was in it at once')
})
