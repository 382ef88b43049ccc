import type { SwaggerSchema } from '../swagger.ts'
import type { LintRule } from './rule.ts'
import { bodyOf, isInternalThing, list, record, type DocumentView, type OperationView } from './view.ts'

interface NotificationUrl {
  place: string
  property: SwaggerSchema
  parents: readonly SwaggerSchema[]
  isRequired: boolean
}

const isMarked = (schema: SwaggerSchema): boolean => schema['x-ms-notification-url'] === true || schema['x-ms-notification-url'] === 'true'

/** Several rules ask. */
const foundIn = new WeakMap<OperationView, NotificationUrl[]>()

/** The properties of a body that the platform fills with its callback URL. */
function notificationUrlsOf (view: DocumentView, operation: OperationView): NotificationUrl[] {
  let urls = foundIn.get(operation)
  if (urls === undefined) foundIn.set(operation, urls = findNotificationUrls(view, operation))
  return urls
}

function findNotificationUrls (view: DocumentView, operation: OperationView): NotificationUrl[] {
  const found: NotificationUrl[] = []
  view.walk(bodyOf(operation)?.schema, `${operation.place}.body`, (schema, place, parents) => {
    if (!isMarked(schema)) return
    const chain = [...parents, schema]
    const isRequired = chain.slice(1).every((below, index) => {
      const [name] = Object.entries(record(chain[index]!.properties)).find(([, property]) => view.follow(property as SwaggerSchema) === below) ?? []
      return name !== undefined && list(chain[index]!.required).includes(name)
    })
    found.push({ place, property: schema, parents, isRequired })
  })
  return found
}

/** What makes a webhook and a polling trigger work (openapi 0.3 to 0.5). */
export const triggerRules: LintRule[] = [
  {
    id: 'trigger-kind',
    severity: 'error',
    source: 'openapi 0.5',
    asks: 'x-ms-trigger is "single" or "batch".',
    mend: 'use trigger("single") or trigger("batch")',
    mentions: '"x-ms-trigger"',
    check ({ operations }, report) {
      for (const { operation, place, id } of operations) {
        const kind = operation['x-ms-trigger']
        if (kind !== undefined && kind !== 'single' && kind !== 'batch') report(place, `has the x-ms-trigger ${JSON.stringify(kind)}`, id)
      }
    }
  },
  {
    id: 'notification-content-place',
    severity: 'error',
    source: 'openapi 0.3',
    asks: 'x-ms-notification-content stands on the path item.',
    mend: 'move it from the operation to the path item',
    mentions: '"x-ms-notification-content"',
    check ({ operations }, report) {
      for (const { operation, place, id } of operations) {
        if (operation['x-ms-notification-content'] !== undefined) report(place, 'has x-ms-notification-content on the operation, where it is overwritten by that of the path item', id)
      }
    }
  },
  {
    id: 'notification-content-missing',
    severity: 'error',
    source: 'openapi 0.3',
    asks: 'A path whose operation takes a callback URL says what the callback brings.',
    mend: 'add x-ms-notification-content with a schema to the path item',
    mentions: '"x-ms-notification-url"',
    check (view, report) {
      for (const operation of view.operations) {
        if (operation.isInternal || notificationUrlsOf(view, operation).length === 0) continue
        const content = operation.item['x-ms-notification-content']
        if (content === undefined) report(operation.place, 'takes a callback URL, and its path has no x-ms-notification-content: it is no webhook', operation.id)
        else if (typeof record(content).schema !== 'object') report(`paths.${operation.path}.x-ms-notification-content`, 'has no schema, so the webhook has no outputs', operation.id)
      }
    }
  },
  {
    id: 'notification-url-missing',
    severity: 'error',
    source: 'openapi 0.3',
    asks: 'Every operation of a webhook path takes the callback URL in one property of its body.',
    mend: 'mark the property with notificationUrl(); give a subscribe call a path of its own, and make its DELETE internal',
    mentions: '"x-ms-notification-content"',
    check (view, report) {
      for (const operation of view.operations.filter(({ isWebhook }) => isWebhook)) {
        const urls = notificationUrlsOf(view, operation)
        if (urls.length === 0) report(operation.place, 'is a webhook by its path item, and has no property for the callback URL', operation.id)
        if (urls.length > 1) report(operation.place, `has ${urls.length} properties for the callback URL`, operation.id)
      }
    }
  },
  {
    id: 'webhook-path-shared',
    severity: 'error',
    source: 'openapi 0.3',
    asks: 'One operation for authors stands on the path of a webhook.',
    mend: 'move the other operation to another path, or make it internal',
    mentions: '"x-ms-notification-content"',
    check ({ operations }, report) {
      for (const { path, place, id } of operations.filter(({ isWebhook }) => isWebhook)) {
        const others = operations.filter((other) => other.path === path && !other.isInternal && other.place !== place)
        if (others.length > 0) report(place, `shares its path with ${others.map((other) => other.id).join(', ')}, and the path item makes webhooks of all`, id)
      }
    }
  },
  {
    id: 'notification-url-shape',
    severity: 'error',
    source: 'openapi 0.4',
    asks: 'The property for the callback URL is a string, required, as are all objects around it, and internal by itself.',
    mend: 'use { type: "string", ...notificationUrl() }, and list it in required, as all objects around it',
    mentions: '"x-ms-notification-url"',
    check (view, report) {
      for (const operation of view.operations.filter(({ isInternal }) => !isInternal)) {
        for (const { place, property, isRequired } of notificationUrlsOf(view, operation)) {
          if (property.type !== 'string') report(place, `is of type ${String(property.type)}`, operation.id)
          if (!isRequired) report(place, 'is not required all the way down', operation.id)
          if (!isInternalThing(property)) report(place, 'is not internal: authors would see it', operation.id)
        }
      }
    }
  },
  {
    id: 'notification-url-hidden',
    severity: 'error',
    source: 'openapi 0.4',
    asks: 'No object around the property for the callback URL is internal.',
    mend: 'make the property internal, and not what is around it',
    mentions: '"x-ms-notification-url"',
    check (view, report) {
      for (const operation of view.operations.filter(({ isInternal }) => !isInternal)) {
        for (const { place, parents } of notificationUrlsOf(view, operation)) {
          if (parents.some(isInternalThing)) report(place, 'lies in an internal object, where the designer does not find it', operation.id)
        }
      }
    }
  },
  {
    id: 'notification-url-place',
    severity: 'warning',
    source: 'openapi 1, NotificationUrlNotAllowedInThisPosition',
    asks: 'The callback URL is taken in the body.',
    mend: 'move it from header, query or path to a property of the body',
    mentions: '"x-ms-notification-url"',
    check ({ operations }, report) {
      for (const { parameters, place, id } of operations) {
        for (const parameter of parameters) if (parameter.in !== 'body' && parameter['x-ms-notification-url'] !== undefined) report(`${place}.parameters.${parameter.name}`, `takes it in the ${parameter.in}`, id)
      }
    }
  },
  {
    id: 'batch-shape',
    severity: 'error',
    source: 'openapi 0.5',
    asks: 'A batch trigger answers a list, or an object whose one property for authors is a list.',
    mend: 'answer the list as the one property, and make those beside it internal: else each run gets the whole batch',
    mentions: '"x-ms-trigger"',
    check (view, report) {
      for (const operation of view.operations.filter(({ operation }) => operation['x-ms-trigger'] === 'batch')) {
        const payload = operation.isWebhook ? view.follow(record(operation.item['x-ms-notification-content']).schema as SwaggerSchema) : view.outputOf(operation)
        const fault = batchFault(view, payload)
        if (fault !== undefined) report(operation.place, fault, operation.id)
      }
    }
  },
  {
    id: 'notification-pair',
    severity: 'error',
    source: 'openapi 1, x-ms-notification',
    asks: 'x-ms-notification of a trigger names a webhook, and stands on none.',
    mend: 'name the operationId of the subscribe call',
    mentions: '"x-ms-notification"',
    check ({ operations, operationNamed }, report) {
      for (const { operation, place, id, isWebhook } of operations) {
        if (operation['x-ms-notification'] === undefined) continue
        const named = record(operation['x-ms-notification']).operationId
        const target = operationNamed(named)
        if (isWebhook || operation['x-ms-trigger'] === undefined) report(place, 'has x-ms-notification, which belongs on a polling trigger', id)
        else if (target?.item['x-ms-notification-content'] === undefined) report(place, `names ${JSON.stringify(named)}, which is no webhook`, id)
      }
    }
  }
]

/** `undefined` where splitOn can be made of it. */
function batchFault (view: DocumentView, schema: SwaggerSchema | undefined, depth = 0): string | undefined {
  if (schema === undefined || depth > 10) return 'is a batch trigger, and answers nothing that is described'
  if (schema.type === 'array') return undefined
  const visible = Object.entries(record(schema.properties)).filter(([, property]) => !isInternalThing(view.follow(property as SwaggerSchema) ?? {}))
  if (visible.length === 0) return 'is a batch trigger, and answers no list'
  if (visible.length > 1) return `is a batch trigger, and answers ${visible.map(([name]) => name).join(', ')} side by side`
  return batchFault(view, view.follow(visible[0]![1] as SwaggerSchema), depth + 1)
}
