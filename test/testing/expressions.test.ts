import { test } from 'tap'
import { evaluate, evaluateCondition, functionsIn } from '../../src/testing/workflow/template.ts'

const scope = {
  triggerBody: () => ({ flavour: 'lemon', tags: ['a', 'b'], empty: null, 'with space': 1, nested: { deep: [{ x: 7 }] } }),
  body: (name: unknown) => ({ name })
}

test('expressions give their values, texts with @{} give text', (t) => {
  for (const [template, value] of [
    ['plain', 'plain'], ['@@escaped', '@escaped'], ['a@b.example', 'a@b.example'], ['@{1}', '1'], ['@@{1}', '@{1}'], ['x @@{1} y', 'x @{1} y'], ['@triggerBody()', scope.triggerBody()],
    ["@triggerBody()['flavour']", 'lemon'], ["@triggerBody()?['none']", null], ["@triggerBody()?['none']?['deeper']", null], ['@triggerBody().flavour', 'lemon'], ['@triggerBody()?.none', null],
    ["@triggerBody()?['tags'][1]", 'b'], ["@triggerBody()?['nested']?['deep'][0]['x']", 7], ["@triggerBody()?['with space']", 1],
    ["For @{triggerBody()?['flavour']} and @{body('A')}!", 'For lemon and {"name":"A"}!'], ["@{triggerBody()?['empty']}|", '|'], ['@{true}', 'True'],
    ["@concat('it''s ', 7, ' {}')", "it's 7 {}"], ["@{concat('a}', 'b')}", 'a}b'], ['@null', null], ['@true', true], ['@-1.5', -1.5],
    ['@if(equals(1, 1), 2, 3)', 2], ["@coalesce(null, triggerBody()?['none'], 'x')", 'x'], ["@length('abc')", 3], ["@empty('')", true], ["@contains('abc', 'b')", true],
    ["@contains(triggerBody()?['tags'], 'a')", true], ["@encodeURIComponent('a/b')", 'a%2Fb'], ['@json(\'{"a":1}\')', { a: 1 }], ["@string(json('[1]'))", '[1]'], ["@int('7')", 7],
    ["@toLower('AB')", 'ab'], ["@join(triggerBody()?['tags'], ', ')", 'a, b'], ["@replace('a-b-a', 'a', '$&')", '$&-b-$&'], ["@base64ToString(base64('x'))", 'x'], ['@and(true, not(false))', true], ['@or(false, greater(2, 1))', true], ["@startsWith('Lemon', 'le')", true]
  ] as const) t.same(evaluate(template, scope), value, template)
  t.same(evaluate({ a: ['@triggerBody().flavour', 7, null, { b: '@{1}' }] }, scope), { a: ['lemon', 7, null, { b: '1' }] })
  t.end()
})

test('what cannot be evaluated says why', (t) => {
  for (const [template, message] of [
    ["@triggerBody()['none']", /the property "none" does not exist; there are flavour, tags/], ["@triggerBody()?['none']['x']", /cannot be selected from nothing: write \?\['x'\]/], ["@triggerBody()?['flavour']['x']", /cannot be selected from "lemon"/],
    ['@addDays(1)', /the function addDays\(\) is not played here; there are and, base64/], ['@triggerBody', /"triggerBody", which is no function call/], ['@concat(', /cannot be read at "its end"/],
    ['@concat(1 2)', /cannot be read at "2"/], ['@1 1', /cannot be read at "1"/], ['@#', /cannot be read at "#"/], ['@]', /cannot be read at "\]"/], ['@triggerBody().', /cannot be read/], ['@{1', /without its "}"/], ['@', /cannot be read at "its end"/],
    ["@join('a', ',')", /join: "a" is no array/], ["@greater(1, 'a')", /cannot be compared/], ['@not(1)', /1 is no boolean/], ["@int('x')", /is no integer/], ['@length(1)', /no string and no array/], ['@contains(1, 1)', /is no string, array or object/]
  ] as const) t.throws(() => evaluate(template, scope), { message }, template)
  t.end()
})

test('conditions are expressions, or objects of operators', (t) => {
  for (const [condition, value] of [
    ['@true', true], [{ equals: ['@triggerBody().flavour', 'lemon'] }, true], [{ not: { equals: [1, 1] } }, false], [{ and: [{ greater: [2, 1] }, { less: [1, 2] }] }, true], [{ or: [{ equals: [1, 2] }, '@equals(1, 1)'] }, true],
    [{ and: [] }, true], [{ contains: ['abc', 'x'] }, false], [{ lessOrEquals: [1, 1] }, true], [{ greaterOrEquals: [1, 2] }, false], [{ startsWith: ['ab', 'a'] }, true]
  ] as const) t.equal(evaluateCondition(condition, scope), value)
  for (const [condition, message] of [['@1', /must come out as true or false, not as 1/], [{}, /must have one operator/], [{ equals: [1, 1], not: {} }, /must have one operator/], [{ between: [1, 2] }, /the condition "between" is not played here/]] as const) t.throws(() => evaluateCondition(condition, scope), { message })
  t.end()
})

test('the functions of a value are known without evaluating it', (t) => {
  t.same([...functionsIn({ a: "@{concat(b('x')['y'], c()[d()])}", e: ['@f()', '@@g()', 'h()'], i: 7 })], ['concat', 'b', 'c', 'd', 'f'])
  t.end()
})
