/** What two documents differ in, as flows that were made with the old one meet it. */
export interface Change {
  /** `breaking`: a flow that worked does not, or works with other data. `compatible`: told, and harmless to it. */
  severity: 'breaking' | 'compatible'
  /** Such as `input-removed`. */
  kind: ChangeKind
  operationId: string | undefined
  /** In the new document, or in the old where it is not there any more: `paths./cakes.post.body.flavour`. */
  path: string
  message: string
}

/** Every kind of change: what it means for flows. The reference page is made from this table. */
export const changeKinds = {
  'operation-removed': { severity: 'breaking', means: 'An operation is gone, or has another operationId: flows know it by that.' },
  'operation-hidden': { severity: 'breaking', means: 'An operation became internal: the designer cannot show the steps that use it.' },
  'operation-moved': { severity: 'breaking', means: 'An operation has another method or path: logic apps keep both in their definition.' },
  'operation-kind': { severity: 'breaking', means: 'An action became a trigger, a webhook a polled one, a batch single items, or the other way round.' },
  'operation-added': { severity: 'compatible', means: 'A new operation.' },
  'operation-deprecated': { severity: 'compatible', means: 'An operation is deprecated: it is hidden from new flows, and old ones go on.' },
  'input-removed': { severity: 'breaking', means: 'An input is gone, has another name, or stands in another place: what flows fill in is lost.' },
  'input-hidden': { severity: 'breaking', means: 'An input became internal: the designer does not show what flows fill in.' },
  'input-required': { severity: 'breaking', means: 'An input must be given that flows do not give: it is new, or was optional.' },
  'input-type': { severity: 'breaking', means: 'An input has another type or format, or is encoded in another way.' },
  'input-narrowed': { severity: 'breaking', means: 'An input takes fewer values: those of an enum, a length, a range or a pattern, or of an object that took any property.' },
  'input-default': { severity: 'compatible', means: 'An input has another default. Flows keep the one that they were made with, where the designer wrote it down.' },
  'input-added': { severity: 'compatible', means: 'A new input that may be left out.' },
  'consumes-removed': { severity: 'breaking', means: 'The body is not taken any more in a content type that flows send.' },
  'output-removed': { severity: 'breaking', means: 'An output is gone, or has another name: later steps that use it get nothing.' },
  'output-type': { severity: 'breaking', means: 'An output has another type or format.' },
  'output-optional': { severity: 'breaking', means: 'An output that was always there may be missing or null.' },
  'output-added': { severity: 'compatible', means: 'A new output.' },
  'security-changed': { severity: 'breaking', means: 'Who calls proves it in another way: connections must be made anew.' },
  'address-changed': { severity: 'compatible', means: 'The API has another address: connectors are updated with it, workflows with the URL in them are not.' }
} as const satisfies Record<string, { severity: Change['severity'], means: string }>

export type ChangeKind = keyof typeof changeKinds

export type Note = (kind: ChangeKind, path: string, message: string) => void

/** One line of text for people. */
export function describeChange ({ operationId, path, message, kind }: Change): string {
  return `${[operationId, path].filter((part) => part !== undefined && part !== '').join(' ')}: ${message} (${kind})`
}
