/**
 * The `x-ms-*` extensions that some reader of a connector document knows: the Logic Apps designer, Power Automate, Power
 * Apps, the certification checks (openapi 1). JSON Schema knows none of them, and a validator has nothing to do for them.
 */
export const annotationNames: readonly string[] = [
  // What the designer shows of a parameter or property.
  'x-ms-summary', 'x-ms-visibility', 'x-ms-enum-values', 'x-ms-editor', 'x-ms-editor-options', 'x-ms-url-encoding',
  'x-ms-media-kind', 'x-ms-test-value', 'x-ms-localizeDefaultValue',

  // Values, schemas and folders that other operations give.
  'x-ms-dynamic-values', 'x-ms-dynamic-list', 'x-ms-dynamic-schema', 'x-ms-dynamic-properties', 'x-ms-dynamic-tree',

  // Triggers and webhooks.
  'x-ms-trigger', 'x-ms-trigger-hint', 'x-ms-trigger-metadata', 'x-ms-trigger-value', 'x-ms-notification',
  'x-ms-notification-content', 'x-ms-notification-url',

  // Of an operation.
  'x-ms-api-annotation', 'x-ms-capabilities', 'x-ms-pageable', 'x-ms-operation-context', 'x-ms-no-generic-test', 'x-ms-safe-operation',

  // Of the document.
  'x-ms-connector-metadata', 'x-ms-docs', 'x-ms-deployment-version', 'x-ms-keywords',

  // Copilot and agents.
  'x-ms-openai-data', 'x-ms-openai-manifest', 'x-ms-require-user-confirmation', 'x-ms-explicit-input', 'x-ms-name-for-model',
  'x-ms-description-for-model', 'x-ms-ai-sensitivity', 'x-ms-agentic-protocol',

  // Read by the designer for Microsoft's own connectors.
  'x-ms-content-hint', 'x-ms-group-name', 'x-ms-permission', 'x-ms-property-name-alias', 'x-ms-input-dependencies',
  'x-ms-serialization', 'x-ms-format', 'x-ms-headers', 'x-ms-displayFormat', 'x-ms-scheduler-recommendation',

  // AutoRest's: allowed, and ignored.
  'x-ms-enum', 'x-ms-parameter-location', 'x-ms-skip-url-encoding'
]
