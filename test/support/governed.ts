// Hand-made events of the metadata service: people, a model with two versions, and an alias.
import type { LeafEvent } from '../../clients/verifier/export/event.ts'
import { replayGovernance } from '../../clients/verifier/replay/replay.ts'

export const at = (minute: number) => new Date(Date.UTC(2026, 10, 23, 8, minute)).toISOString()
export const SERVER = { principal: 'service:metadata', method: 'service' }
export const by = (name: string) => ({ principal: name, method: 'token', credentialId: `token-${name}` })

/** An event with the names of its erased fields. */
export type StoryEvent = LeafEvent & { erased?: string[] }

export type Init = Omit<LeafEvent, 'details'> & { details?: Record<string, unknown>; minute?: number }

export function event(type: string, { minute = 1, ...init }: Init): LeafEvent {
  return { type: `${type}.v1`, producer: 'metadata', outcome: 'OUTCOME_SUCCEEDED', occurTime: at(minute), ...init }
}
export const token = (name: string, expires = 59): LeafEvent =>
  event('token.created', {
    actor: SERVER,
    resource: { id: `token-${name}`, namespace: '', name },
    details: { principal: name, expire_time: at(expires) },
  })
export const role = (name: string, namespace: string, level: string, change: Init = {}): LeafEvent =>
  event('role.granted', {
    actor: SERVER,
    resource: { id: 'r', namespace: namespace === '*' ? '' : namespace, name },
    details: { principal: name, namespace, role: level },
    ...change,
  })
export const model = (type: string, change: Init = {}): LeafEvent =>
  event(`model.${type}`, {
    actor: by('alice'),
    resource: { id: 'm', namespace: 'fraud', name: 'fraud/scorer' },
    ...change,
  })
export const version = (type: string, number: number, change: Init = {}): LeafEvent =>
  event(`version.${type}`, {
    actor: by('alice'),
    resource: { id: `v${number}`, namespace: 'fraud', name: `fraud/scorer:${number}`, digest: `sha256:${number}` },
    ...change,
  })
export const aliasResource = (to: number, modelName = 'scorer') => ({
  id: 'a',
  namespace: 'fraud',
  name: `fraud/${modelName}@live`,
  ...(to !== 0 && { digest: `sha256:${to}` }),
})
export const move = (from: number, to: number, change: Init = {}): LeafEvent =>
  event(to === 0 ? 'alias.removed' : 'alias.moved', {
    actor: by('alice'),
    resource: aliasResource(to),
    ...(from !== 0 && { beforeDigest: `sha256:${from}` }),
    ...(to !== 0 && { afterDigest: `sha256:${to}` }),
    details: { from, to, model_id: 'm' },
    ...change,
  })

export const START = [
  role('alice', '*', 'ADMIN'),
  token('alice'),
  token('carol'),
  role('carol', 'fraud', 'CONTRIBUTOR'),
  model('created'),
  version('created', 1),
  version('created', 2),
  move(0, 1),
]

/** Returns the event with erased fields. */
export const without = (storyEvent: LeafEvent, ...erased: string[]): StoryEvent => ({ ...storyEvent, erased })

/** Replays the events after START. Returns `accepted`, or the verdict. */
export function verdict(...events: StoryEvent[]): string {
  const governance = replayGovernance()
  for (const [index, storyEvent] of [...(START as StoryEvent[]), ...events].entries())
    governance.apply(index, storyEvent, storyEvent.erased)
  try {
    governance.finish()
    return 'accepted'
  } catch (error) {
    return (error as Error).message
  }
}
