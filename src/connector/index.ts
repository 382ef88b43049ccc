/*
 * `fastify-logic-apps/connector`: annotations for schemas, routes and the document, each an object to be spread in; and for
 * any Swagger document the lint, what changed in it, and its bundle.
 */
export {
  dynamicSchema, dynamicTree, dynamicValues, fromInput, selectedItem
} from './helpers/dynamic.ts'
export type {
  DynamicParameters, DynamicSchemaOptions, DynamicTreeCall, DynamicTreeOptions, DynamicValuesOptions, InputReference, Literal, SelectedItem
} from './helpers/dynamic.ts'
export {
  editor, enumValues, explicitInput, filePicker, forModel, localizeDefaultValue, mediaKind, notificationUrl, peoplePicker, summary,
  testValue, triggerValue, urlEncoding, visibility
} from './helpers/fields.ts'
export type { Visibility } from './helpers/fields.ts'
export {
  agenticProtocol, apiAnnotation, chunkTransfer, noGenericTest, notification, notificationContent, operationContext, pageable,
  requireUserConfirmation, safeOperation, trigger, triggerHint, triggerMetadata
} from './helpers/operations.ts'
export type { ApiAnnotationOptions } from './helpers/operations.ts'
export {
  apiStatus, capabilities, connectorMetadata, deploymentVersion, docs, filePickerCapability, keywords, testConnection
} from './helpers/document.ts'
export type { ConnectorMetadataOptions, FilePickerOptions } from './helpers/document.ts'
export { describeFinding, type LintFinding } from './lint/finding.ts'
export { lintDocument } from './lint/lint.ts'
export { lintRules } from './lint/rules.ts'
export type { LintRule, Report, Severity } from './lint/rule.ts'
export { createBundle, type BundleFile, type BundleOptions } from './bundle/bundle.ts'
export { changeKinds, describeChange, type Change, type ChangeKind } from './diff/change.ts'
export { diffDocuments } from './diff/diff.ts'
export type { CallbackUrlPlace, OperationPattern, OperationPatterns } from './operation.ts'
export type * from './swagger.ts'
