/** An expression of the Workflow Definition Language, parsed. */
export type Expression =
  | { kind: 'literal', value: unknown }
  | { kind: 'call', name: string, parameters: Expression[] }
  | { kind: 'member', of: Expression, key: Expression, optional: boolean }

/** What an expression or a workflow says is none, or none that is played here. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError'
}

const tokenPattern = /\s*(?:('(?:[^']|'')*')|(-?\d+(?:\.\d+)?)|([A-Za-z_$][\w$]*)|(\?\[|\?\.|[()[\],.]))/y

interface Token { kind: 'string' | 'number' | 'name' | 'sign', text: string }

function tokensOf (source: string): Token[] {
  const tokens: Token[] = []
  tokenPattern.lastIndex = 0
  for (let at = 0; source.slice(at).trim() !== ''; at = tokenPattern.lastIndex) {
    tokenPattern.lastIndex = at
    const found = tokenPattern.exec(source)
    if (found === null) throw new ExpressionError(`the expression "${source}" cannot be read at "${source.slice(at, at + 20)}"`)
    const [, string, number, name, sign] = found
    if (string !== undefined) tokens.push({ kind: 'string', text: string.slice(1, -1).replaceAll("''", "'") })
    else if (number !== undefined) tokens.push({ kind: 'number', text: number })
    else if (name !== undefined) tokens.push({ kind: 'name', text: name })
    else tokens.push({ kind: 'sign', text: sign! })
  }
  return tokens
}

const constants: Record<string, unknown> = { true: true, false: false, null: null }

/** @throws {ExpressionError} for what is no expression. */
export function parseExpression (source: string): Expression {
  const tokens = tokensOf(source)
  let at = 0
  const isSign = (text: string): boolean => tokens[at]?.kind === 'sign' && tokens[at]!.text === text
  const fail = (): never => { throw new ExpressionError(`the expression "${source}" cannot be read at "${tokens[at]?.text ?? 'its end'}"`) }

  function expect (text: string): void {
    if (!isSign(text)) fail()
    at++
  }

  function parameters (): Expression[] {
    const list: Expression[] = []
    while (!isSign(')')) {
      if (list.length > 0) expect(',')
      list.push(value())
    }
    at++
    return list
  }

  function primary (): Expression {
    const token = tokens[at++]
    if (token === undefined) return fail()
    if (token.kind === 'string') return { kind: 'literal', value: token.text }
    if (token.kind === 'number') return { kind: 'literal', value: Number(token.text) }
    if (token.kind !== 'name') {
      at--
      return fail()
    }
    if (isSign('(')) {
      at++
      return { kind: 'call', name: token.text, parameters: parameters() }
    }
    if (Object.hasOwn(constants, token.text)) return { kind: 'literal', value: constants[token.text] }
    throw new ExpressionError(`the expression "${source}" has "${token.text}", which is no function call`)
  }

  function value (): Expression {
    let expression = primary()
    for (;;) {
      const sign = tokens[at]?.kind === 'sign' ? tokens[at]!.text : undefined
      if (sign === '[' || sign === '?[') {
        at++
        const key = value()
        expect(']')
        expression = { kind: 'member', of: expression, key, optional: sign === '?[' }
      } else if (sign === '.' || sign === '?.') {
        at++
        const name = tokens[at++]
        if (name?.kind !== 'name') return fail()
        expression = { kind: 'member', of: expression, key: { kind: 'literal', value: name.text }, optional: sign === '?.' }
      } else {
        return expression
      }
    }
  }

  const expression = value()
  if (at < tokens.length) fail()
  return expression
}
