/** The value of another input of the operation, given to the operation that is called. Made by `fromInput()`. */
export interface InputReference {
  readonly input: string
}

/** Values that JSON has. */
export type Literal = string | number | boolean | null

/** What the operation that gives the list or schema is called with: fixed values, and values of other inputs. */
export type DynamicParameters = Record<string, Literal | InputReference>

/**
 * Takes a parameter of a dynamic list or schema from another input: a query, path or header parameter by its name, a
 * property of the body by its path after `body/`.
 *
 * @example dynamicValues({ operationId: 'ListCities', parameters: { country: fromInput('body/address/country') }, value: 'id', title: 'name' })
 */
export function fromInput (path: string): InputReference {
  return { input: path }
}

export interface DynamicValuesOptions {
  /** The operation that answers the list. */
  operationId: string
  /** @default none */
  parameters?: DynamicParameters
  /** Where the list is in the output, with `/` between names. @default the output itself is the list */
  items?: string
  /** In an item: what is sent. */
  value: string
  /** In an item: what is shown. @default the value */
  title?: string
  /** In an item: more about it. Logic Apps alone reads it. */
  description?: string
  /** In an item: whether it can be chosen. Logic Apps alone reads it. */
  selectable?: string
}

/**
 * A dropdown whose entries an operation of the connector lists: `x-ms-dynamic-values`, which Logic Apps reads, and
 * `x-ms-dynamic-list`, which newer designers do (openapi 0.8). Goes into the schema of an input, or of the items of one.
 *
 * @example Type.String({ title: 'Flavour', ...dynamicValues({ operationId: 'ListFlavours', value: 'id', title: 'name' }) })
 */
export function dynamicValues ({ operationId, parameters = {}, items, value, title, description, selectable }: DynamicValuesOptions) {
  return {
    'x-ms-dynamic-values': {
      operationId,
      parameters: legacyParameters(parameters),
      ...(items === undefined ? {} : { 'value-collection': items }),
      'value-path': value,
      'value-title': title ?? value,
      ...(description === undefined ? {} : { 'value-description': description }),
      ...(selectable === undefined ? {} : { 'value-selectable': selectable })
    },
    'x-ms-dynamic-list': {
      operationId,
      parameters: newParameters(parameters),
      ...(items === undefined ? {} : { itemsPath: items }),
      itemValuePath: value,
      itemTitlePath: title ?? value
    }
  }
}

export interface DynamicSchemaOptions {
  /** The operation that answers the JSON Schema. */
  operationId: string
  /** @default none */
  parameters?: DynamicParameters
  /** Where the schema is in the output, with `/` between names. @default the output itself is the schema */
  schema?: string
}

/**
 * A schema that an operation of the connector answers while a flow is written: `x-ms-dynamic-schema` and
 * `x-ms-dynamic-properties` (openapi 0.8). Goes into the schema of a body, of an object in it, or of an output.
 *
 * @example Type.Object({}, dynamicSchema({ operationId: 'GetFormSchema', parameters: { form: fromInput('form') }, schema: 'schema' }))
 */
export function dynamicSchema ({ operationId, parameters = {}, schema }: DynamicSchemaOptions) {
  // The old form may lead to the properties, the new one must lead to the object that has them (openapi 1).
  const object = schema?.replace(/(^|\/)properties$/, '')
  return {
    'x-ms-dynamic-schema': {
      operationId,
      parameters: legacyParameters(parameters),
      ...(schema === undefined ? {} : { 'value-path': schema })
    },
    'x-ms-dynamic-properties': {
      operationId,
      parameters: newParameters(parameters),
      ...(object === undefined || object === '' ? {} : { itemValuePath: object })
    }
  }
}

export interface DynamicTreeCall {
  operationId: string
  /** For `browse`, `selectedItem('id')` gives the item that was opened. @default none */
  parameters?: Record<string, Literal | InputReference | SelectedItem>
  /** Where the list is in the output. @default the output itself is the list */
  items?: string
  /** In an item: what is sent. */
  value: string
  /** In an item: what is shown. */
  title: string
  /** In an item: whether it has others below it. */
  isParent?: string
  /** In an item: its whole path, to be shown. */
  fullTitle?: string
}

export interface SelectedItem {
  readonly selectedItem: string
}

/** A property of the item that was opened, for the `browse` call of `dynamicTree()`. */
export function selectedItem (path: string): SelectedItem {
  return { selectedItem: path }
}

export interface DynamicTreeOptions {
  /** Lists the roots. */
  open: DynamicTreeCall
  /** Lists what is below an item. */
  browse: DynamicTreeCall
  /** @default true */
  canSelectParents?: boolean
  /** @default true */
  canSelectLeaves?: boolean
}

/** A tree to choose from, such as folders: `x-ms-dynamic-tree`, for newer designers. Goes into the schema of an input. */
export function dynamicTree ({ open, browse, canSelectParents = true, canSelectLeaves = true }: DynamicTreeOptions) {
  return {
    'x-ms-dynamic-tree': {
      settings: { canSelectParentNodes: canSelectParents, canSelectLeafNodes: canSelectLeaves },
      open: treeCall(open),
      browse: treeCall(browse)
    }
  }
}

function treeCall ({ operationId, parameters = {}, items, value, title, isParent, fullTitle }: DynamicTreeCall) {
  return {
    operationId,
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, given]) => [name, isSelected(given) ? { selectedItemValuePath: given.selectedItem } : newParameter(given)])),
    ...(items === undefined ? {} : { itemsPath: items }),
    itemValuePath: value,
    itemTitlePath: title,
    ...(isParent === undefined ? {} : { itemIsParent: isParent }),
    ...(fullTitle === undefined ? {} : { itemFullTitlePath: fullTitle })
  }
}

const isReference = (value: unknown): value is InputReference => typeof value === 'object' && value !== null && 'input' in value
const isSelected = (value: unknown): value is SelectedItem => typeof value === 'object' && value !== null && 'selectedItem' in value

const newParameter = (value: Literal | InputReference): object => isReference(value) ? { parameterReference: value.input } : { value }

function newParameters (parameters: DynamicParameters): Record<string, object> {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, newParameter(value)]))
}

/** The old form knows inputs by name alone, those in the body as well. */
function legacyParameters (parameters: DynamicParameters): Record<string, Literal | { parameter: string }> {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) =>
    [name.replace(/^body\//, ''), isReference(value) ? { parameter: value.input.replace(/^body\//, '') } : value]))
}
