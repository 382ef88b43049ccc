/** Where a helper is spread. */
export type HelperPlace = 'field' | 'schema' | 'operation' | 'connector option' | 'connector.info'

export interface HelperReference {
  /** As it is called. */
  call: string
  places: HelperPlace[]
  writes: string[]
  what: string
}

/** What the reference page shows of each helper. A test holds it against the helpers themselves. */
export const helperReference: readonly HelperReference[] = [
  { call: 'summary(text)', places: ['field'], writes: ['x-ms-summary'], what: 'The label, where `title` is not to be used for it.' },
  { call: 'visibility(level)', places: ['field', 'operation'], writes: ['x-ms-visibility'], what: '`important`, `advanced` or `internal`: whether authors see it. An internal input that is required needs a default.' },
  { call: 'dynamicValues({ operationId, parameters?, items?, value, title? })', places: ['field'], writes: ['x-ms-dynamic-values', 'x-ms-dynamic-list'], what: 'A dropdown whose entries an operation lists.' },
  { call: 'dynamicSchema({ operationId, parameters?, schema? })', places: ['schema'], writes: ['x-ms-dynamic-schema', 'x-ms-dynamic-properties'], what: 'Inputs or outputs that an operation describes while a flow is written.' },
  { call: 'dynamicTree({ open, browse })', places: ['field'], writes: ['x-ms-dynamic-tree'], what: 'A tree to choose from. `selectedItem(path)` gives `browse` the item that was opened.' },
  { call: 'enumValues({ value: name })', places: ['field'], writes: ['x-ms-enum-values'], what: 'Names for the values of an enum. Titles of the literals of a union are used without it.' },
  { call: 'urlEncoding(times)', places: ['field'], writes: ['x-ms-url-encoding'], what: '`single`, which path parameters have anyway, or `double`.' },
  { call: 'notificationUrl()', places: ['field'], writes: ['x-ms-notification-url', 'x-ms-visibility'], what: 'Where a plain route takes the callback URL. The decorators mark theirs.' },
  { call: 'testValue(value)', places: ['field'], writes: ['x-ms-test-value'], what: 'What tests of the connector may send.' },
  { call: 'mediaKind(kind)', places: ['field'], writes: ['x-ms-media-kind'], what: '`image` or `audio`, for Power Apps.' },
  { call: 'filePicker(value)', places: ['field'], writes: ['x-ms-dynamic-values'], what: 'The old file picker; with `filePickerCapability()`.' },
  { call: 'peoplePicker()', places: ['field'], writes: ['x-ms-dynamic-values'], what: 'People of Entra ID, by a list that Logic Apps has.' },
  { call: 'editor(name, options?)', places: ['field'], writes: ['x-ms-editor', 'x-ms-editor-options'], what: 'The widget in Logic Apps. Certification refuses it, but for `dictionary`.' },
  { call: 'triggerValue(collection, path)', places: ['field'], writes: ['x-ms-trigger-value'], what: 'Where a polling trigger with a policy keeps its place.' },
  { call: 'localizeDefaultValue()', places: ['field'], writes: ['x-ms-localizeDefaultValue'], what: 'The default is text to be translated.' },
  { call: 'forModel({ name?, description? })', places: ['field', 'operation'], writes: ['x-ms-name-for-model', 'x-ms-description-for-model'], what: 'What agents read.' },
  { call: 'explicitInput()', places: ['field'], writes: ['x-ms-explicit-input'], what: 'Agents fill it only with what a person said.' },
  { call: 'trigger(kind)', places: ['operation'], writes: ['x-ms-trigger'], what: '`single` or `batch`: makes a trigger of a plain route.' },
  { call: 'triggerHint(text)', places: ['operation'], writes: ['x-ms-trigger-hint'], what: 'What must happen for the trigger to fire.' },
  { call: 'triggerMetadata()', places: ['operation'], writes: ['x-ms-trigger-metadata'], what: 'As the connector wizard marks a trigger that a policy polls for.' },
  { call: 'notification(operationId)', places: ['operation'], writes: ['x-ms-notification'], what: 'The webhook that tells a polling trigger when to poll.' },
  { call: 'notificationContent({ description?, schema })', places: ['operation'], writes: ['x-ms-notification-content'], what: 'What the callback of a plain route brings. Stands on the path item in the document.' },
  { call: 'apiAnnotation({ family, revision, status?, replacement? })', places: ['operation'], writes: ['x-ms-api-annotation'], what: 'The version of an operation.' },
  { call: 'operationContext(operationId, parameters?)', places: ['operation'], writes: ['x-ms-operation-context'], what: 'What "Test" calls in place of a trigger.' },
  { call: 'pageable(nextLinkName?)', places: ['operation'], writes: ['x-ms-pageable'], what: 'A list in pages. `nextLink` unless `@odata.nextLink` is named.' },
  { call: 'chunkTransfer()', places: ['operation'], writes: ['x-ms-capabilities'], what: 'Large content is sent in chunks.' },
  { call: 'noGenericTest()', places: ['operation'], writes: ['x-ms-no-generic-test'], what: 'Left out of generic tests.' },
  { call: 'safeOperation()', places: ['operation'], writes: ['x-ms-safe-operation'], what: 'A POST without effects.' },
  { call: 'requireUserConfirmation(isAsked?)', places: ['operation'], writes: ['x-ms-require-user-confirmation'], what: 'An agent asks a person before it calls.' },
  { call: 'agenticProtocol()', places: ['operation'], writes: ['x-ms-agentic-protocol'], what: 'An endpoint of the Model Context Protocol.' },
  { call: 'testConnection(operationId, parameters?)', places: ['connector option'], writes: ['x-ms-capabilities'], what: 'A GET that shows whether a new connection works.' },
  { call: 'filePickerCapability({ open, browse, … })', places: ['connector option'], writes: ['x-ms-capabilities'], what: 'What `filePicker()` browses.' },
  { call: 'capabilities(…)', places: ['connector option'], writes: ['x-ms-capabilities'], what: 'Several capabilities as one.' },
  { call: 'connectorMetadata({ website, privacyPolicy, categories })', places: ['connector option'], writes: ['x-ms-connector-metadata'], what: 'Who is behind the connector: certification asks for it.' },
  { call: 'docs(pages)', places: ['connector option'], writes: ['x-ms-docs'], what: 'Links to documentation.' },
  { call: 'apiStatus(status)', places: ['connector.info'], writes: ['x-ms-api-annotation'], what: '`Preview` or `Production`.' },
  { call: 'deploymentVersion(version)', places: ['connector.info'], writes: ['x-ms-deployment-version'], what: 'Which deployment this is.' },
  { call: 'keywords(words)', places: ['connector.info'], writes: ['x-ms-keywords'], what: 'Words to find the connector by.' }
]
