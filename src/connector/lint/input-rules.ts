import { namesIn } from '../document/path.ts'
import { fitsType } from '../schema/parameter.ts'
import type { SwaggerExtensions, SwaggerParameter, SwaggerSchema } from '../swagger.ts'
import { everySchema } from './every-schema.ts'
import type { LintRule } from './rule.ts'
import { bodyOf, isInternalThing, list, record } from './view.ts'

const simpleTypes = ['string', 'number', 'integer', 'boolean', 'array', 'file']

/** A parameter, or a property of a body. */
interface Input extends SwaggerExtensions { default?: unknown, properties?: unknown }

/** Asks of every parameter what is wrong with it. */
function eachParameter (faultOf: (parameter: SwaggerParameter) => string | false): LintRule['check'] {
  return ({ operations }, report) => {
    for (const { parameters, place, id } of operations) {
      for (const parameter of parameters) {
        const fault = faultOf(parameter)
        if (fault !== false) report(`${place}.parameters.${parameter.name}`, fault, id)
      }
    }
  }
}

/** The same of every input that authors do not see: parameters outside the body, and properties in it. */
function hiddenInputs (faultOf: (input: Input, isRequired: boolean) => string | false): LintRule['check'] {
  return (view, report) => {
    for (const operation of view.operations.filter(({ isInternal }) => !isInternal)) {
      const look = (at: string, input: Input, isRequired: boolean): void => {
        const fault = isInternalThing(input) && faultOf(input, isRequired)
        if (fault !== false) report(at, fault, operation.id)
      }
      for (const parameter of operation.parameters) {
        if (parameter.in !== 'body') look(`${operation.place}.parameters.${parameter.name}`, parameter, parameter.required === true)
      }
      view.walk(bodyOf(operation)?.schema, `${operation.place}.body`, (schema, place) => {
        for (const [name, value] of Object.entries(record(schema.properties))) {
          const property = view.follow(value as SwaggerSchema)
          if (property !== undefined) look(`${place}.${name}`, property, list(schema.required).includes(name))
        }
      })
    }
  }
}

/** Inputs that the designer would lose, or misread (openapi 0.7 to 0.11). */
export const inputRules: LintRule[] = [
  {
    id: 'path-parameter-missing',
    severity: 'error',
    source: 'openapi 0.11',
    asks: 'Every name in a path is a parameter, and every path parameter is in the path.',
    mend: 'declare it in schema.params under the name that the path has',
    check ({ operations }, report) {
      for (const operation of operations) {
        const [named, declared] = [namesIn(operation.path), operation.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)]
        for (const name of named) if (!declared.includes(name)) report(operation.place, `has {${name}} in its path and no such parameter`, operation.id)
        for (const name of declared) if (!named.includes(name)) report(operation.place, `has the path parameter ${name}, which is not in its path`, operation.id)
      }
    }
  },
  {
    id: 'path-parameter-required',
    severity: 'error',
    source: 'openapi 0.11',
    asks: 'Path parameters are required.',
    mend: 'set required: true',
    check: eachParameter(({ in: where, required }) => where === 'path' && required !== true && 'is an optional part of a path')
  },
  {
    id: 'path-parameter-encoding',
    severity: 'warning',
    source: 'openapi 0.11',
    asks: 'Path parameters say how they are encoded.',
    mend: 'set x-ms-url-encoding: "single"',
    check: eachParameter(({ in: where, 'x-ms-url-encoding': encoding }) =>
      where === 'path' && !['single', 'double'].includes(String(encoding)) && 'has no x-ms-url-encoding')
  },
  {
    id: 'path-wildcard',
    severity: 'error',
    source: 'openapi 4, wildcard',
    asks: 'No path has a wildcard, a query or a fragment.',
    mend: 'name the parts as parameters',
    check ({ operations }, report) {
      for (const { path, place, id } of operations) if (/[*?#]/.test(path)) report(place, `has the path ${path}`, id)
    }
  },
  {
    id: 'parameter-connection-id',
    severity: 'error',
    source: 'openapi 0.11',
    asks: 'No parameter is called connectionId.',
    mend: 'rename it: the platform has a parameter of that name',
    mentions: '"connectionId"',
    check ({ operations }, report) {
      for (const { parameters, place, id } of operations) if (parameters.some(({ name }) => name === 'connectionId')) report(place, 'has a parameter connectionId', id)
    }
  },
  {
    id: 'parameters-missing',
    severity: 'error',
    source: 'openapi 0.11',
    asks: 'An operation has parameters of its own, if only an empty list, where its path has some.',
    mend: 'add parameters: []',
    check ({ operations }, report) {
      for (const { item, operation, place, id } of operations) {
        if (list(item.parameters).length > 0 && !Array.isArray(operation.parameters)) report(place, 'has none beside those of its path: the designer fails on it', id)
      }
    }
  },
  {
    id: 'parameter-duplicate',
    severity: 'error',
    source: 'openapi 3, OperationParametersAreNotUnique',
    asks: 'No parameter is there twice, and there is one body, or a form.',
    mend: 'leave one of them out',
    check ({ operations }, report) {
      for (const { parameters, place, id } of operations) {
        const keys = parameters.map(({ name, in: where }) => where === 'body' ? 'body' : `${where} ${name}`)
        for (const key of new Set(keys.filter((one, index) => keys.indexOf(one) !== index))) report(place, `has the parameter "${key}" twice`, id)
        if (keys.includes('body') && keys.some((key) => key.startsWith('formData '))) report(place, 'has a body and a form', id)
      }
    }
  },
  {
    id: 'parameter-type',
    severity: 'error',
    source: 'openapi 0.9',
    asks: 'Every parameter outside the body has one simple type: without, it disappears.',
    mend: `set type to one of ${simpleTypes.join(', ')}`,
    check: eachParameter(({ in: where, type }) =>
      where !== 'body' && !simpleTypes.includes(type as string) && `has the type ${JSON.stringify(type) ?? 'none'}, and is no input in the designer`)
  },
  {
    id: 'parameter-label',
    severity: 'warning',
    source: 'openapi 0.7',
    asks: 'Every input for authors has a label: x-ms-summary of a parameter, title of a property.',
    mend: 'give its schema a title',
    check (view, report) {
      for (const operation of view.operations.filter(({ isInternal }) => !isInternal)) {
        for (const parameter of operation.parameters) {
          if (parameter.in !== 'body' && !isInternalThing(parameter) && parameter['x-ms-summary'] === undefined) report(`${operation.place}.parameters.${parameter.name}`, 'has no x-ms-summary', operation.id)
        }
        view.walk(bodyOf(operation)?.schema, `${operation.place}.body`, (schema, place, parents) => {
          const isLeaf = schema.properties === undefined && !place.endsWith('[]') && !place.endsWith('[*]')
          if (isLeaf && parents.length > 0 && ![...parents, schema].some(isInternalThing) && schema.title === undefined && schema['x-ms-summary'] === undefined) report(place, 'has no title', operation.id)
        })
      }
    }
  },
  {
    id: 'object-title',
    severity: 'warning',
    source: 'openapi 0.7',
    asks: 'Objects have no title: it stands before the label of each of their properties.',
    mend: 'leave the title of the object out, or use description',
    check (view, report) {
      for (const operation of view.operations.filter(({ isInternal }) => !isInternal)) {
        for (const { place, schema } of operation.schemas) {
          view.walk(schema, place, (one, at) => { if (one.properties !== undefined && one.title !== undefined) report(at, `has the title "${one.title}"`, operation.id) })
        }
      }
    }
  },
  {
    id: 'internal-required',
    severity: 'error',
    source: 'openapi 1, x-ms-visibility',
    asks: 'An internal input that is required has a default: no author can fill it.',
    mend: 'give it a default, make it optional, or show it',
    mentions: '"x-ms-visibility"',
    check: hiddenInputs((input, isRequired) =>
      isRequired && input.default === undefined && input.properties === undefined && input['x-ms-notification-url'] === undefined && 'is required and hidden, and has no default')
  },
  {
    id: 'internal-optional',
    severity: 'warning',
    source: 'openapi 1, InternalPropertyWithDefaultOptional',
    asks: 'An internal input with a default is required: else it is not sent.',
    mend: 'make it required',
    mentions: '"default"',
    check: hiddenInputs((input, isRequired) => !isRequired && input.default !== undefined && 'has a default that is not sent')
  },
  {
    id: 'body-required',
    severity: 'warning',
    source: 'openapi 0.10',
    asks: 'The body is required.',
    mend: 'set required: true',
    mentions: '"required":false',
    check ({ operations }, report) {
      for (const operation of operations) if (bodyOf(operation)?.required === false) report(`${operation.place}.body`, 'is optional, which makes each of its properties optional', operation.id)
    }
  },
  {
    id: 'body-of-get',
    severity: 'warning',
    source: 'openapi 3, BodyOrFormDataParameterInFetchOperationNotAllowed',
    asks: 'A GET has no body.',
    mend: 'use query parameters, or POST',
    mentions: '"get"',
    check ({ operations }, report) {
      for (const { method, parameters, place, id } of operations) if (method === 'get' && parameters.some((parameter) => parameter.in === 'body' || parameter.in === 'formData')) report(place, 'is a GET with a body', id)
    }
  },
  {
    id: 'default-type',
    severity: 'warning',
    source: 'openapi 3, DefaultValueMustMatchType',
    asks: 'A default is of the type it stands with.',
    mend: 'mend the default',
    mentions: '"default"',
    check (view, report) {
      everySchema(view, report, ({ default: value, type }, fault, { isInput }) => {
        if (isInput && value !== undefined && type !== undefined && type !== 'file' && !fitsType(value, type)) fault(`is of type ${type}, and its default is ${JSON.stringify(value)}`)
      })
    }
  },
  {
    id: 'form-field-name',
    severity: 'error',
    source: 'openapi 2',
    asks: 'No field of a form has \'"\' or "@" in its name: it would be dropped.',
    mend: 'rename it',
    mentions: '"formData"',
    check: eachParameter(({ name, in: where }) => where === 'formData' && /["@]/.test(name) && 'is dropped by the designer')
  }
]
