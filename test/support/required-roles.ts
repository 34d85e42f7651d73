// Stories for each type of event of the metadata service: "dana" acts with the required role, or after she lost it.
import type { LeafEvent } from '../../clients/verifier/export/event.ts'
import { EVENT_TYPES, type EventType } from '../../services/lib/events/event-types.ts'
import { at, by, event, model, move, role, SERVER, START, token, version, type StoryEvent } from './governed.ts'
import { apply, approve, REQUESTED, close, forced, gate, GATED, request } from './promoted.ts'

type Role = 'READER' | 'CONTRIBUTOR' | 'APPROVER' | 'ADMIN'

interface Action {
  /** The required role. "PLATFORM" is ADMIN on all namespaces; "SERVICE" means that only the service may act. */
  needs: Exclude<Role, 'READER'> | 'PLATFORM' | 'SERVICE'
  /** The namespace of the required role; for PLATFORM, a namespace whose admin does not suffice. */
  place: string
  /** Whether the service itself may act. */
  isByService?: boolean
  before?: StoryEvent[]
  done: LeafEvent
}

type MetadataType = {
  [Type in EventType]: (typeof EVENT_TYPES)[Type]['producer'] extends 'metadata' ? Type : never
}[EventType]

/** Types that change nothing. */
export const UNGOVERNED = ['authentication.failed.v1'] as const

export type GovernedType = Exclude<MetadataType, (typeof UNGOVERNED)[number]>

/** A time after the grace period of a lost role. */
const LATER = { minute: 5 }
const DANA = { actor: by('dana'), ...LATER }
const NEW = { ...DANA, resource: { id: 'n', namespace: 'fraud', name: 'fraud/new' } }
const platform = { needs: 'PLATFORM' } as const
const admin = { needs: 'ADMIN', place: 'fraud' } as const
const approver = { needs: 'APPROVER', place: 'fraud' } as const
const contributor = { needs: 'CONTRIBUTOR', place: 'fraud' } as const
const later = (original: LeafEvent): LeafEvent => ({ ...original, actor: by('dana'), occurTime: at(LATER.minute) })
const named = (type: string, name: string): LeafEvent =>
  event(type, { ...DANA, resource: { id: 'i', namespace: name, name } })
const measured = { id: 'e', namespace: 'fraud', name: 'fraud/scorer:2', digest: 'sha256:2' }
const lost = { resource: { namespace: 'fraud' }, details: { principal: 'carol', namespace: 'fraud' } }
const onAll = { resource: { id: 'r', namespace: 'fraud', name: 'mallory' } }

export const ACTIONS: Record<GovernedType, Action[]> = {
  'namespace.created.v1': [{ ...platform, place: 'new', done: named('namespace.created', 'new') }],
  'namespace.updated.v1': [{ ...admin, done: named('namespace.updated', 'fraud') }],
  'namespace.deleted.v1': [{ ...platform, place: 'other', done: named('namespace.deleted', 'other') }],
  'model.created.v1': [{ ...contributor, done: model('created', NEW) }],
  'model.updated.v1': [{ ...contributor, done: model('updated', DANA) }],
  'model.renamed.v1': [{ ...admin, done: model('renamed', { ...NEW, resource: { ...NEW.resource, id: 'm' } }) }],
  'model.archived.v1': [{ ...admin, done: model('archived', DANA) }],
  'model.unarchived.v1': [{ ...admin, done: model('unarchived', DANA) }],
  'model.deleted.v1': [
    { ...admin, before: [move(1, 0)], done: model('deleted', { ...DANA, details: { latest_number: 2 } }) },
  ],
  'version.created.v1': [{ ...contributor, done: version('created', 3, DANA) }],
  'version.updated.v1': [{ ...contributor, done: version('updated', 2, DANA) }],
  'version.deleted.v1': [{ ...admin, done: version('deleted', 2, DANA) }],
  'evaluation.created.v1': [{ ...contributor, done: event('evaluation.created', { ...DANA, resource: measured }) }],
  'alias.moved.v1': [{ ...contributor, done: move(1, 2, DANA) }],
  'alias.removed.v1': [{ ...contributor, done: move(1, 0, DANA) }],
  'alias.forced.v1': [{ ...admin, before: GATED, done: later(forced(1, 2)) }],
  'gate.created.v1': [{ ...admin, done: gate('created', 'g', {}, DANA) }],
  'gate.updated.v1': [{ ...admin, before: GATED, done: gate('updated', 'g', { revision: 2 }, DANA) }],
  'gate.deleted.v1': [{ ...admin, before: GATED, done: gate('deleted', 'g', { revision: 2 }, DANA) }],
  'promotion.requested.v1': [{ ...contributor, before: GATED, done: request({}, DANA) }],
  'promotion.approved.v1': [{ ...approver, before: REQUESTED, done: approve('dana', {}, LATER) }],
  'promotion.rejected.v1': [{ ...approver, before: REQUESTED, done: close('rejected', 'dana', {}, LATER) }],
  'promotion.withdrawn.v1': [
    {
      ...contributor,
      before: [...GATED, request({}, { actor: by('dana') })],
      done: close('withdrawn', 'dana', {}, LATER),
    },
    { ...admin, before: REQUESTED, done: close('withdrawn', 'dana', {}, LATER) },
  ],
  'promotion.voided.v1': [
    {
      ...contributor,
      before: [...REQUESTED, forced(1, 2)],
      done: close('voided', 'dana', { because: 'ALIAS_MOVED' }, LATER),
    },
  ],
  'promotion.expired.v1': [
    {
      needs: 'SERVICE',
      place: 'fraud',
      isByService: true,
      before: REQUESTED,
      done: close('expired', 'dana', {}, { minute: 12 }),
    },
  ],
  'promotion.applied.v1': [
    {
      ...contributor,
      before: [request({ gates: [] }, { actor: by('dana') })],
      done: apply([], { gates: [] }, DANA),
    },
  ],
  'role.granted.v1': [
    { ...admin, isByService: true, done: role('mallory', 'fraud', 'ADMIN', DANA) },
    { ...platform, place: 'fraud', isByService: true, done: role('mallory', '*', 'READER', { ...DANA, ...onAll }) },
  ],
  'role.revoked.v1': [{ ...admin, done: event('role.revoked', { ...DANA, ...lost }) }],
  'token.created.v1': [{ ...platform, place: '', isByService: true, done: later(token('mallory')) }],
  'token.revoked.v1': [
    { ...platform, place: '', done: event('token.revoked', { ...DANA, resource: { id: 'token-carol' } }) },
  ],
}

const BELOW = { ADMIN: 'APPROVER', APPROVER: 'CONTRIBUTOR', CONTRIBUTOR: 'READER' } as const

type Holding = readonly [role: Role, namespace: string]

/** Returns the sufficient roles, the least first. */
function sufficing({ needs, place }: Action): Holding[] {
  if (needs === 'SERVICE') return []
  if (needs === 'PLATFORM') return [['ADMIN', '*']]
  return [...new Set([needs, 'ADMIN' as const])].flatMap((held) => [[held, place] as const, [held, '*'] as const])
}

/** Returns the highest roles that do not suffice. */
function insufficient({ needs, place }: Action): Holding[] {
  if (needs === 'SERVICE') return [['ADMIN', '*']]
  const elsewhere = ['ADMIN', 'elsewhere'] as const
  if (needs === 'PLATFORM') return [['APPROVER', '*'], ['ADMIN', place], elsewhere]
  return [[BELOW[needs], place], [BELOW[needs], '*'], elsewhere]
}

export interface Story {
  /** The name of the test. */
  text: string
  type: string
  events: StoryEvent[]
}

/** Dana has every role until just before the action. */
function storyOf({ needs, place, before = [], done }: Action, [held, namespace]: Holding): Story {
  const able = [...START, token('dana'), role('dana', '*', 'ADMIN')]
  const demotion = role('dana', '*', 'READER', { minute: 3 })
  const events = [...able, ...before, demotion, role('dana', namespace, held, { minute: 3 }), done]
  const text = `${done.type as string}, which needs ${needs} on "${place}", by ${held} on "${namespace}"`
  return { text, type: done.type as string, events }
}

const ALL = Object.values(ACTIONS).flat()

export const ALLOWED = ALL.flatMap((action) => sufficing(action).map((holding) => storyOf(action, holding)))
export const DENIED = ALL.flatMap((action) => insufficient(action).map((holding) => storyOf(action, holding)))

/** The same actions by the service itself, without a token. */
const BY_SERVICE = ALL.map((action) => {
  const { type, events } = storyOf(action, ['ADMIN', '*'])
  const isAccepted = action.isByService ?? false
  const text = `${type} on "${action.place}" by the service itself`
  return { text, type, isAccepted, events: [...events.slice(0, -1), { ...action.done, actor: SERVER }] }
})
export const ALLOWED_FOR_SERVICE: Story[] = BY_SERVICE.filter(({ isAccepted }) => isAccepted)
export const DENIED_FOR_SERVICE: Story[] = BY_SERVICE.filter(({ isAccepted }) => !isAccepted)
