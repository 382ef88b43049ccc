import fc from 'fast-check'
import { test } from 'tap'
import { preferredWaitSeconds } from '../../src/protocol/prefer.ts'
import { check } from '../helpers/property.ts'

const allowed = 60

test('without the header a start waits as long as the operation allows', async (t) => {
  t.equal(preferredWaitSeconds(undefined, allowed), allowed)
  t.equal(preferredWaitSeconds('', allowed), allowed)
})

// What the caller says, and what is made of it where 60 s are allowed.
const preferences: [prefer: string | string[], seconds: number][] = [
  // RFC 7240, 4.3
  ['wait=10', 10],
  ['respond-async, wait=10', 10],
  ['wait=10, respond-async', 10],
  // 4.1
  ['respond-async', 0],
  // 2: examples of lists, parameters, empty values, case and white space
  ['Lenient', allowed],
  ['foo; bar', allowed],
  ['foo; bar=""', allowed],
  ['foo=""; bar', allowed],
  ['foo="";bar=baz, wait=7', 7],
  ['respond-async, wait=100, handling=lenient', allowed],
  ['handling=strict, respond-async', 0],
  ['return=representation', allowed],
  ['return=minimal; foo="some parameter"', allowed],
  ['priority=5', allowed],
  ['RESPOND-ASYNC', 0],
  ['Wait=20', 20],
  [' wait = 20 ', 20],
  ['wait=20;strict', 20],
  ['wait=20 ; q="1,wait=3"', 20],
  ['respond-async;x=1', 0],
  ['\twait=20\t,\trespond-async', 20],
  // 2: of what is said more than once the first counts
  ['wait=20, wait=30', 20],
  ['wait=30, wait=20', 30],
  [['wait=20', 'wait=30'], 20],
  [['respond-async', 'wait=15'], 15],
  // A word is a token or quoted text
  ['wait="20"', 20],
  ['wait="20";x', 20],
  ['note="a, wait=3"', allowed],
  ['note="respond-async, wait=3", wait=40', 40],
  ['note="wait=3;respond-async"', allowed],
  ['"respond-async"', 0],
  // Zero is a number
  ['wait=0', 0],
  ['wait=00', 0],
  ['wait=007', 7],
  // More than is allowed
  ['wait=61', allowed],
  ['wait=999999999', allowed],
  // Nothing that can be read as a number of seconds
  ['wait', allowed],
  ['wait=', allowed],
  ['wait=""', allowed],
  ['wait=-5', allowed],
  ['wait=1.5', allowed],
  ['wait=1e1', allowed],
  ['wait=0x10', allowed],
  ['wait=ten', allowed],
  ['wait=10s', allowed],
  ['wait=9999999999', allowed],
  ['wait=٣', allowed],
  ['wait=-5, respond-async', 0],
  ['wait=10=20', 10],
  // Junk
  [',,,;;;===', allowed],
  [',wait=5,', 5],
  ['"', allowed],
  ['"wait=5', allowed],
  ['wait="5', allowed],
  ['wait-for=5', allowed],
  ['await=5', allowed],
  ['respond-asynchronously', allowed],
  ['__proto__=1, constructor', allowed]
]
for (const [prefer, seconds] of preferences) {
  test(`Prefer: ${JSON.stringify(prefer)} lets a start wait ${seconds} of ${allowed} s`, async (t) => {
    t.equal(preferredWaitSeconds(prefer, allowed), seconds)
  })
}

test('where no wait is allowed there is none, whatever the caller says', async (t) => {
  for (const [prefer] of preferences) t.equal(preferredWaitSeconds(prefer, 0), 0)
})

test('no header raises the wait, or makes it anything but a number', async (t) => {
  const part = fc.constantFrom('wait', '=', '5', '99999', '"', ',', ';', ' ', 'respond-async', '\\', 'é', '-')
  const prefer = fc.oneof(fc.string(), fc.array(part).map((parts) => parts.join('')), fc.array(fc.string()))
  await check(t, fc.property(prefer, fc.double({ min: 0, max: 100, noNaN: true }), (prefer, allowed) => {
    const seconds = preferredWaitSeconds(prefer, allowed)
    return seconds >= 0 && seconds <= allowed
  }), { numRuns: 2000 })
})
