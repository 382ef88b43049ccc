import type { ApprovalRequest } from './links.ts'

/** Everything in a request was written by somebody: it is text, never markup. */
const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(title)}</title>
<h1>${escape(title)}</h1>
${body}
</html>
`

export const messagePage = (title: string, text: string): string => page(title, `<p>${escape(text)}</p>`)

/** Forms, not links: what merely follows links, as mail scanners do, must decide nothing. They post to the page's own address. */
export const decisionPage = ({ title, details }: ApprovalRequest): string => page(title, `<p>${escape(details)}</p>
<form method="post">
<p><label>Comment <input name="comment" maxlength="500"></label></p>
<p><button name="decision" value="approve">Approve</button> <button name="decision" value="reject">Reject</button></p>
</form>`)
