import type { SwaggerSchema } from '../swagger.ts'
import type { Report } from './rule.ts'
import type { DocumentView } from './view.ts'

interface Occurrence {
  isInput: boolean
  /** What it lies in. */
  parents: readonly SwaggerSchema[]
}

interface Fault {
  /** Where in the schema. */
  below: string
  message: string
}

type Visit = (schema: SwaggerSchema, fault: (message: string) => void, occurrence: Occurrence) => void

/**
 * Asks about every schema of the document, and reports what is found at each place where an operation has it. Of a schema
 * that many operations share it asks once.
 */
export function everySchema (view: DocumentView, report: Report, visit: Visit): void {
  // An input is asked about apart from an output of the same schema.
  const [ofInputs, ofOutputs] = [new Map<SwaggerSchema, Fault[]>(), new Map<SwaggerSchema, Fault[]>()]
  for (const { schemas, id } of view.operations) {
    for (const { place, schema, isInput } of schemas) {
      const known = isInput ? ofInputs : ofOutputs
      let faults = known.get(schema)
      if (faults === undefined) known.set(schema, faults = faultsIn(view, schema, isInput, visit))
      for (const { below, message } of faults) report(`${place}${below}`, message, id)
    }
  }
}

function faultsIn (view: DocumentView, schema: SwaggerSchema, isInput: boolean, visit: Visit): Fault[] {
  const faults: Fault[] = []
  view.walk(schema, '', (one, below, parents) => { visit(one, (message) => { faults.push({ below, message }) }, { isInput, parents }) })
  return faults
}
