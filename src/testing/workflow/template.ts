import { ExpressionError, parseExpression, type Expression } from './expression.ts'
import { pureFunctions, textOf, type ExpressionFunction } from './functions.ts'

/** What expressions can ask beyond pure functions, such as `triggerBody()`. */
export type Scope = Record<string, ExpressionFunction>

/** A JSON value with its expressions evaluated, as the engine does with `inputs`. */
export function evaluate (value: unknown, scope: Scope): unknown {
  if (typeof value === 'string') return evaluateText(value, (expression) => evaluateExpression(expression, scope))
  if (Array.isArray(value)) return value.map((item) => evaluate(item, scope))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, evaluate(item, scope)]))
}

function evaluateText (text: string, evaluateOne: (expression: Expression) => unknown): unknown {
  // '@@' writes an '@' out; '@{' begins an interpolation, anything else after '@' is an expression alone.
  if (text.startsWith('@@')) return text.slice(1)
  if (text.startsWith('@') && !text.startsWith('@{')) return evaluateOne(parseExpression(text.slice(1)))
  let result = ''
  let at = 0
  for (let begin = text.indexOf('@{'); begin !== -1; begin = text.indexOf('@{', at)) {
    if (text[begin - 1] === '@') {
      result += text.slice(at, begin - 1) + '@{'
      at = begin + 2
      continue
    }
    const end = endOf(text, begin + 2)
    result += text.slice(at, begin) + textOf(evaluateOne(parseExpression(text.slice(begin + 2, end))))
    at = end + 1
  }
  return result + text.slice(at)
}

/** Where the brace is that ends an interpolation: none within quotes. */
function endOf (text: string, from: number): number {
  let isQuoted = false
  for (let at = from; at < text.length; at++) {
    if (text[at] === "'") isQuoted = !isQuoted
    else if (text[at] === '}' && !isQuoted) return at
  }
  throw new ExpressionError(`"${text}" has an "@{" without its "}"`)
}

function evaluateExpression (expression: Expression, scope: Scope): unknown {
  switch (expression.kind) {
    case 'literal': return expression.value
    case 'member': return memberOf(expression, scope)
    case 'call': {
      const { name, parameters } = expression
      const find = (functions: Scope): ExpressionFunction | undefined => Object.hasOwn(functions, name) ? functions[name] : undefined
      const found = find(scope) ?? find(pureFunctions)
      if (found === undefined) throw new ExpressionError(`the function ${name}() is not played here; there are ${supportedFunctions(scope).join(', ')}`)
      return found(...parameters.map((parameter) => evaluateExpression(parameter, scope)))
    }
  }
}

function memberOf ({ of, key, optional }: Extract<Expression, { kind: 'member' }>, scope: Scope): unknown {
  const whole = evaluateExpression(of, scope)
  const name = evaluateExpression(key, scope) as string | number
  if (whole === null || whole === undefined) {
    if (optional) return null
    throw new ExpressionError(`the property "${name}" cannot be selected from nothing: write ?['${name}'] where it may be missing`)
  }
  if (typeof whole !== 'object') throw new ExpressionError(`the property "${name}" cannot be selected from ${JSON.stringify(whole)}`)
  const value = Object.hasOwn(whole, name) ? (whole as Record<string, unknown>)[name] : undefined
  if (value === undefined && !optional) throw new ExpressionError(`the property "${name}" does not exist; there are ${Object.keys(whole).join(', ') || 'none'}`)
  return value ?? null
}

export function supportedFunctions (scope: Scope = {}): string[] {
  return [...Object.keys(scope), ...Object.keys(pureFunctions)].toSorted()
}

/** A condition as `If` and trigger conditions have it: an expression, or an object of `and`, `or`, `not` and comparisons. */
export function evaluateCondition (condition: unknown, scope: Scope): boolean {
  const value = conditionValue(condition, scope)
  if (typeof value !== 'boolean') throw new ExpressionError(`a condition must come out as true or false, not as ${JSON.stringify(value)}`)
  return value
}

const comparisons = ['equals', 'greater', 'greaterOrEquals', 'less', 'lessOrEquals', 'contains', 'startsWith'] as const

function conditionValue (condition: unknown, scope: Scope): unknown {
  if (typeof condition !== 'object' || condition === null) return evaluate(condition, scope)
  const [entry, ...others] = Object.entries(condition)
  if (entry === undefined || others.length > 0) throw new ExpressionError(`a condition must have one operator; got ${JSON.stringify(condition)}`)
  const [operator, operands] = entry as [string, unknown]
  if (operator === 'and') return (operands as unknown[]).every((one) => evaluateCondition(one, scope))
  if (operator === 'or') return (operands as unknown[]).some((one) => evaluateCondition(one, scope))
  if (operator === 'not') return !evaluateCondition(operands, scope)
  if (!(comparisons as readonly string[]).includes(operator)) throw new ExpressionError(`the condition "${operator}" is not played here; there are and, or, not, ${comparisons.join(', ')}`)
  return pureFunctions[operator]!(...(evaluate(operands, scope) as unknown[]))
}

/** Every function that a value's expressions call, without evaluating any. @throws {ExpressionError} for what cannot be read. */
export function functionsIn (value: unknown): Set<string> {
  const names = new Set<string>()
  const visit = (expression: Expression): void => {
    if (expression.kind === 'call') {
      names.add(expression.name)
      expression.parameters.forEach(visit)
    } else if (expression.kind === 'member') {
      visit(expression.of)
      visit(expression.key)
    }
  }
  const walk = (one: unknown): void => {
    if (typeof one === 'string') evaluateText(one, (expression) => { visit(expression) })
    else if (typeof one === 'object' && one !== null) Object.values(one).forEach(walk)
  }
  walk(value)
  return names
}
