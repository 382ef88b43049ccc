import type { Literal } from './dynamic.ts'

/*
 * For the option `connector` of the plugin, or its `info`: `connector: { ...testConnection('WhoAmI'), info: { … } }`. Two
 * that write one key, such as two capabilities, are merged by `capabilities()`.
 */

/** A GET that shows whether a new connection works: any 2xx. Internal, as a rule. */
export const testConnection = (operationId: string, parameters: Record<string, Literal> = {}) => ({
  'x-ms-capabilities': { testConnection: { operationId, parameters } }
})

export interface FilePickerOptions {
  open: { operationId: string, parameters?: Record<string, unknown> }
  /** `parameters` take properties of the folder that was opened: `{ id: { 'value-property': 'Id' } }`. */
  browse: { operationId: string, parameters?: Record<string, unknown> }
  /** Where the list is in the output. */
  items: string
  title: string
  /** In an item: whether it is a folder. */
  folder: string
  /** In an item: its media type. */
  media: string
}

/** What the inputs marked by `filePicker()` browse. */
export const filePickerCapability = ({ open, browse, items, title, folder, media }: FilePickerOptions) => ({
  'x-ms-capabilities': {
    'file-picker': { open, browse, 'value-collection': items, 'value-title': title, 'value-folder-property': folder, 'value-media-property': media }
  }
})

/** Several capabilities as one. */
export const capabilities = (...all: { 'x-ms-capabilities': object }[]) => ({
  'x-ms-capabilities': Object.assign({}, ...all.map((one) => one['x-ms-capabilities'])) as Record<string, unknown>
})

export interface ConnectorMetadataOptions {
  website: string
  privacyPolicy: string
  /** At most two, such as `Commerce`, `Productivity`. */
  categories: string[]
}

/** Who is behind the connector: certification asks for it. */
export const connectorMetadata = ({ website, privacyPolicy, categories }: ConnectorMetadataOptions) => ({
  'x-ms-connector-metadata': [
    { propertyName: 'Website', propertyValue: website },
    { propertyName: 'Privacy policy', propertyValue: privacyPolicy },
    { propertyName: 'Categories', propertyValue: categories.join(';') }
  ]
})

/** Links to documentation. */
export const docs = (pages: { url: string, description?: string }[]) => ({ 'x-ms-docs': pages })

/** For `info`: whether the connector is a preview. */
export const apiStatus = (status: 'Preview' | 'Production') => ({ 'x-ms-api-annotation': { status } })

/** For `info`: which deployment this is. */
export const deploymentVersion = (version: string) => ({ 'x-ms-deployment-version': version })

/** For `info`: words to find the connector by. */
export const keywords = (words: string[]) => ({ 'x-ms-keywords': words })
