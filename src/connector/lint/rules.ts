import { certificationRules } from './certification-rules.ts'
import { dynamicRules } from './dynamic-rules.ts'
import { inputRules } from './input-rules.ts'
import { operationRules } from './operation-rules.ts'
import type { LintRule } from './rule.ts'
import { schemaRules } from './schema-rules.ts'
import { triggerRules } from './trigger-rules.ts'

/** Every rule there is. The reference page is made from this table. */
export const lintRules: readonly LintRule[] = [...operationRules, ...triggerRules, ...inputRules, ...dynamicRules, ...schemaRules, ...certificationRules]
