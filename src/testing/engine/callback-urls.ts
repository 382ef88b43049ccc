import type { Identity } from './identity.ts'
import type { Profile } from './profiles.ts'
import { pick, type Random } from './random.ts'
import type { Unknowns } from './unknowns.ts'

/** What a callback URL is of: a run's action (engine 2.8), or a version of a workflow's trigger (engine 2.9). */
export type CallbackSubject = { kind: 'action', name: string, runId: string } | { kind: 'trigger', name: string, version: string }

export interface CallbackUrlParts {
  identity: Identity
  profile: Profile
  unknowns: Unknowns
  random: Random
  /** Where the engine listens, in place of its host in the cloud. */
  origin?: string | undefined
}

const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** A callback URL in the form that the profile's cloud gives it: a secret with encoded slashes in its query (engine 2.13). */
export function createCallbackUrl (subject: CallbackSubject, parts: CallbackUrlParts): string {
  const { identity: { workflowId }, profile: { callbackUrls } } = parts
  const name = encodeURIComponent(subject.name.replaceAll(' ', '_'))
  const below = subject.kind === 'action' ? `/runs/${subject.runId}/actions/${name}` : `/triggers/${name}/versions/${subject.version}`
  const permissions = encodeURIComponent(`${below}/run`) + '%2C' + encodeURIComponent(`${below}/read`)
  const apiVersion = callbackUrls === 'power-automate' ? '1' : callbackUrls === 'standard' ? '2022-05-01' : '2016-06-01'
  const query = `api-version=${apiVersion}&sp=${permissions}&sv=1.0&sig=${pick(parts.random, base64url, 43)}`
  return `${originOf(parts)}${prefixOf(callbackUrls)}/workflows/${workflowId}${below}/run?${query}`
}

function originOf ({ origin, identity: { region, subscriptionId }, profile: { callbackUrls }, unknowns }: CallbackUrlParts): string {
  if (origin !== undefined) return origin
  const port = unknowns.callbackUrlPort === 'send' ? ':443' : ''
  switch (callbackUrls) {
    case 'consumption': return `https://prod-00.${region}.logic.azure.com${port}`
    case 'standard': return `https://cakes-workflows.azurewebsites.net${port}`
    case 'power-automate': {
      const environment = subscriptionId.replaceAll('-', '')
      return `https://default${environment.slice(0, 30)}.${environment.slice(30)}.environment.api.powerplatform.com${port}`
    }
  }
}

function prefixOf (form: Profile['callbackUrls']): string {
  if (form === 'standard') return '/runtime/webhooks/workflow/scaleUnits/prod-00'
  return form === 'power-automate' ? '/powerautomate/automations/direct' : ''
}
