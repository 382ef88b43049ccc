/**
 * A Fastify URL as Swagger writes it: `/cakes/:id(^\\d+$)` is `/cakes/{id}`, and `::` is a colon. Read as find-my-way reads
 * it: a name goes on over everything but `(`, `-`, `.` and `/`, so `:id::eat` is one parameter, called `id::eat`.
 */
export function templateOf (url: string): string {
  let template = ''
  for (let at = 0; at < url.length;) {
    if (url.startsWith('::', at)) {
      template += ':'
      at += 2
    } else if (url[at] === ':') {
      const end = endOfName(url, at + 1)
      template += `{${url.slice(at + 1, end)}}`
      at = endOfPattern(url, end)
    } else {
      template += url[at++]
    }
  }
  return template
}

function endOfName (url: string, start: number): number {
  const length = url.slice(start).search(/[(\-./]/)
  return length === -1 ? url.length : start + length
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
