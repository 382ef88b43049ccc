import { test } from 'tap'
import { readTriggerTarget, triggerUrl } from '../../src/protocol/trigger-url.ts'

test('a target is taken apart at the state, whatever else is in it', (t) => {
  for (const [target, path, query, states] of [
    ['/orders', '/orders', '', []],
    ['/orders?', '/orders', '', []],
    ['/orders/?triggerState=x', '/orders/', '', ['x']],
    ['/orders?a=1&triggerState=x&b=%20+c', '/orders', 'a=1&b=%20+c', ['x']],
    ['/orders?trigger%53tate=x&&a', '/orders', 'a', ['x']],
    ['/orders?triggerState=', '/orders', '', []],
    ['/orders?triggerState', '/orders', '', []],
    ['/orders?triggerState=x&triggerState=y&triggerState=', '/orders', '', ['x', 'y']],
    ['/orders?triggerstate=x&xtriggerState=y&triggerState[]=z', '/orders', 'triggerstate=x&xtriggerState=y&triggerState[]=z', []],
    ['/orders?a=?triggerState=x', '/orders', 'a=?triggerState=x', []],
    ['https://api.example:8/orders?triggerState=x#frag&ment', '/orders', '', ['x']],
    ['/%6Frders?q=%', '/%6Frders', 'q=%', []],
    ['?a=1', '', 'a=1', []]
  ] as const) {
    const read = readTriggerTarget(target)
    t.same({ path: read.path, query: read.query, states: read.states }, { path, query, states }, target)
  }
  t.end()
})

test('queries that say the same read alike: in any order and spelling, a pair more than once', (t) => {
  const form = (query: string): string => readTriggerTarget(`/orders?${query}`).queryForm
  const one = form('a=1&b=x%20y')
  for (const query of ['b=x%20y&a=1', 'a=%31&b=x+y', 'a=1&b=x+y&a=1&triggerState=z', '&a=1&&b=x+y']) t.equal(form(query), one, query)
  for (const query of ['a=1', 'a=1&b=x', 'a=1&a=2&b=x+y', 'a=1%26b&b=x+y', 'A=1&b=x+y', 'a=1&b=x%20y&c']) t.not(form(query), one, query)
  t.not(form('a=1,b=2'), form('a=1&b=2'))
  t.not(form('a="],["b"'), form('a=&b='))
  t.end()
})

test('the next poll goes to the same URL with a new state', (t) => {
  const next = (target: string): string => triggerUrl('https://api.example/v1', readTriggerTarget(target), 'NEW')
  t.equal(next('/orders'), 'https://api.example/v1/orders?triggerState=NEW')
  t.equal(next('/orders/?triggerState=old'), 'https://api.example/v1/orders/?triggerState=NEW')
  t.equal(next('/orders?b=%20+c&triggerState=old&a=1#x'), 'https://api.example/v1/orders?b=%20+c&a=1&triggerState=NEW')
  t.equal(next('/?a'), 'https://api.example/v1/?a&triggerState=NEW')
  t.equal(next(''), 'https://api.example/v1/?triggerState=NEW')
  t.equal(next('/bäcker?q=ü'), 'https://api.example/v1/b%C3%A4cker?q=%C3%BC&triggerState=NEW')
  t.end()
})
