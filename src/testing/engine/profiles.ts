/** One place where workflows run, as an API sees it (engine 11). */
export interface Profile {
  name: string
  /** How long one call may take; its answer is lost after that (engine 1.15). */
  requestTimeoutSeconds: number
  /** Whether a 202 with `Location` is polled at all (engine 1.21). */
  polls: boolean
  /** Whether an action's authentication is sent again with each poll (engine 1.22). */
  authenticatesPolls: boolean
  /** Whether a webhook is unsubscribed by a DELETE of the `Location` of its 201 (engine 4.3, 4.4). */
  deletesLocation: boolean
  /** Which form callback URLs have (engine 2.8 to 2.11). */
  callbackUrls: 'consumption' | 'standard' | 'power-automate'
  /** What follows `azure-logic-apps/1.0 (workflow …; version …)` (engine 5.1). */
  userAgentSuffix: string
  /** Whether subscription and resource group are named in the headers (engine 5.7). */
  namesSubscription: boolean
  /** Headers of the gateway in front of a connector (engine 5.7, 3.22). */
  gateway: boolean
  /** The policy where a definition has none, or `default` (engine 6.1, 6.5). */
  retry: { count: number, intervalSeconds: number, minimumSeconds: number, maximumSeconds: number }
  /** The shortest and the longest interval that a definition may ask for (engine 6.3). */
  retryIntervalSeconds: { minimum: number, maximum: number }
  /** How long a run may take, and with it a wait for a callback (engine 1.16). */
  runSeconds: number
}

const day = 86_400

const consumption: Profile = {
  name: 'consumption',
  requestTimeoutSeconds: 120,
  polls: true,
  authenticatesPolls: true,
  deletesLocation: false,
  callbackUrls: 'consumption',
  userAgentSuffix: '',
  namesSubscription: true,
  gateway: false,
  retry: { count: 4, intervalSeconds: 7.5, minimumSeconds: 5, maximumSeconds: 45 },
  retryIntervalSeconds: { minimum: 5, maximum: day },
  runSeconds: 90 * day
}

const standard: Profile = {
  ...consumption,
  name: 'standard',
  requestTimeoutSeconds: 225,
  callbackUrls: 'standard',
  retry: { count: 4, intervalSeconds: 7, minimumSeconds: 5, maximumSeconds: 3600 }
}

const powerAutomate: Profile = {
  ...consumption,
  name: 'power-automate',
  authenticatesPolls: false,
  callbackUrls: 'power-automate',
  userAgentSuffix: ' microsoft-flow/1.0',
  namesSubscription: false,
  runSeconds: 30 * day
}

export const profiles = {
  consumption,
  standard,
  'standard-stateless': {
    ...standard,
    name: 'standard-stateless',
    polls: false,
    retryIntervalSeconds: { minimum: 1, maximum: 60 },
    runSeconds: 300
  },
  'power-automate': powerAutomate,
  'custom-connector': { ...powerAutomate, name: 'custom-connector', deletesLocation: true, gateway: true }
} as const satisfies Record<string, Profile>

export type ProfileName = keyof typeof profiles

/** @throws {TypeError} for a name that is none. */
export function profileOf (given: ProfileName | Profile): Profile {
  if (typeof given === 'object') return given
  if (!Object.hasOwn(profiles, given)) throw new TypeError(`profile must be one of ${Object.keys(profiles).join(', ')}, or an object; got ${JSON.stringify(given)}`)
  return profiles[given]
}
