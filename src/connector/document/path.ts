/** A Fastify URL as Swagger writes it: `/cakes/:id(^\\d+$)` is `/cakes/{id}`, and `::` is a colon. */
export function templateOf (url: string): string {
  let template = ''
  let end = 0
  for (const { 0: found, 1: name, index } of url.matchAll(/::|:(\w+)/g)) {
    // Part of the pattern of the parameter before it, such as `(?:a|b)`.
    if (index < end) continue
    template += url.slice(end, index) + (name === undefined ? ':' : `{${name}}`)
    end = name === undefined ? index + found.length : endOfPattern(url, index + found.length)
  }
  return template + url.slice(end)
}

/** Behind the regular expression that may stand in brackets after a parameter. */
function endOfPattern (url: string, start: number): number {
  if (url[start] !== '(') return start
  let depth = 0
  for (let at = start; at < url.length; at++) {
    if (url[at] === '\\') at++
    else if (url[at] === '(') depth++
    else if (url[at] === ')' && --depth === 0) return at + 1
  }
  return url.length
}

/** The parameters of a path, as Swagger writes them. */
export const namesIn = (template: string): string[] => [...template.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name!)
