/** How much an author sees of something: at the top, behind "Show advanced options", or nothing. */
export type Visibility = 'important' | 'advanced' | 'internal'

/** The label of an input or output, where `title` is not to be used for it. Title Case by custom. */
export const summary = (text: string) => ({ 'x-ms-summary': text })

/**
 * Whether authors see an input, an output or an operation. Without it they do, after what is important. An internal input
 * that is required needs a default.
 *
 * @example Type.Optional(Type.Number({ title: 'Baking time', ...visibility('advanced') }))
 */
export const visibility = (level: Visibility) => ({ 'x-ms-visibility': level })

/**
 * Names for the values of an enum, in the order in which they are shown; as pairs, where values are no texts.
 *
 * @example Type.Enum(['s', 'l'], enumValues({ s: 'Small', l: 'Large' }))
 * @example Type.Enum([1, 2], enumValues([[1, 'One'], [2, 'Two']]))
 */
export const enumValues = (names: Record<string, string> | readonly (readonly [value: string | number, name: string])[]) => ({
  'x-ms-enum-values': (Array.isArray(names) ? names as [string | number, string][] : Object.entries(names as Record<string, string>))
    .map(([value, displayName]) => ({ value, displayName }))
})

/** How often a path parameter is encoded. The document says `single` where nothing else is said. */
export const urlEncoding = (times: 'single' | 'double') => ({ 'x-ms-url-encoding': times })

/** The property of a body that the platform fills with its callback URL. `app.webhookAction` and `app.webhookTrigger` mark theirs. */
export const notificationUrl = () => ({ 'x-ms-notification-url': true as const, 'x-ms-visibility': 'internal' as const })

/** A value that tests of the connector may send. */
export const testValue = (value: unknown) => ({ 'x-ms-test-value': value })

/** An input or output that holds an image or a sound, for Power Apps. */
export const mediaKind = (kind: 'image' | 'audio') => ({ 'x-ms-media-kind': kind })

/** The old file picker: needs `filePickerCapability()` on the document. `value` is what is sent, in a file. */
export const filePicker = (value: string) => ({ 'x-ms-dynamic-values': { capability: 'file-picker' as const, 'value-path': value } })

/** Logic Apps' own dropdown of people or groups of Entra ID. */
export const peoplePicker = () => ({ 'x-ms-dynamic-values': { builtInOperation: 'AadGraph.GetUsers', parameters: {}, 'value-path': 'userPrincipalName', 'value-title': 'displayName' } })

/** The widget of an input in Logic Apps, such as `code`, `dictionary`, `html`, `table`. */
export const editor = (name: string, options?: Record<string, unknown>) => ({
  'x-ms-editor': name,
  ...(options === undefined ? {} : { 'x-ms-editor-options': options })
})

/** Where a polling trigger by hand keeps its place: `collection` and `path` lead to it in the answer. */
export const triggerValue = (collection: string, path: string) => ({ 'x-ms-trigger-value': { 'value-collection': collection, 'value-path': path } })

/** A default that is text for people, to be translated. */
export const localizeDefaultValue = () => ({ 'x-ms-localizeDefaultValue': true as const })

/** What agents read of an input or an operation, where the description is for people. */
export const forModel = ({ name, description }: { name?: string, description?: string }) => ({
  ...(name === undefined ? {} : { 'x-ms-name-for-model': name }),
  ...(description === undefined ? {} : { 'x-ms-description-for-model': description })
})

/** An input that agents fill only with what a person said. */
export const explicitInput = () => ({ 'x-ms-explicit-input': true as const })
