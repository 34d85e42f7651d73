// What the verifier finds in a log that is signed as it is, but tells of what the rules of the registry did not allow.
import { expect, test } from 'vitest'
import type { LeafEvent } from '../../clients/cli/audit/event.ts'
import { replayGovernance } from '../../clients/cli/audit/governance.ts'

const at = (minute: number) => new Date(Date.UTC(2026, 10, 23, 8, minute)).toISOString()
const SERVER = { principal: 'service:metadata', method: 'service' }
const by = (name: string) => ({ principal: name, method: 'token', credentialId: `token-${name}` })

type Init = Omit<LeafEvent, 'details'> & { details?: Record<string, unknown>; minute?: number }

function event(type: string, { minute = 1, ...init }: Init): LeafEvent {
  return { type: `${type}.v1`, producer: 'metadata', outcome: 'OUTCOME_SUCCEEDED', occurTime: at(minute), ...init }
}
const token = (name: string, expires = 59): LeafEvent =>
  event('token.created', {
    actor: SERVER,
    resource: { id: `token-${name}`, namespace: '', name },
    details: { principal: name, expire_time: at(expires) },
  })
const role = (name: string, namespace: string, level: string, change: Init = {}): LeafEvent =>
  event('role.granted', {
    actor: SERVER,
    resource: { id: 'r', namespace: namespace === '*' ? '' : namespace, name },
    details: { principal: name, namespace, role: level },
    ...change,
  })
const model = (type: string, change: Init = {}): LeafEvent =>
  event(`model.${type}`, {
    actor: by('alice'),
    resource: { id: 'm', namespace: 'fraud', name: 'fraud/scorer' },
    ...change,
  })
const version = (type: string, number: number, change: Init = {}): LeafEvent =>
  event(`version.${type}`, {
    actor: by('alice'),
    resource: { id: `v${number}`, namespace: 'fraud', name: `fraud/scorer:${number}`, digest: `sha256:${number}` },
    ...change,
  })
const move = (from: number, to: number, change: Init = {}): LeafEvent =>
  event(to === 0 ? 'alias.removed' : 'alias.moved', {
    actor: by('alice'),
    resource: { id: 'a', namespace: 'fraud', name: 'fraud/scorer@live' },
    ...(from !== 0 && { beforeDigest: `sha256:${from}` }),
    ...(to !== 0 && { afterDigest: `sha256:${to}` }),
    details: { from, to, model_id: 'm' },
    ...change,
  })

const START = [
  role('alice', '*', 'ADMIN'),
  token('alice'),
  token('carol'),
  role('carol', 'fraud', 'CONTRIBUTOR'),
  model('created'),
  version('created', 1),
  version('created', 2),
  move(0, 1),
]

function verdict(...events: LeafEvent[]): string {
  const governance = replayGovernance()
  for (const [index, told] of [...START, ...events].entries()) governance.apply(index, told)
  try {
    governance.finish()
    return 'kept'
  } catch (error) {
    return (error as Error).message
  }
}

test.each<[string, LeafEvent[]]>([
  ['nothing more', []],
  ['a chain of moves', [move(1, 2), move(2, 1), move(1, 0), move(0, 2)]],
  ['a version after a deleted one', [version('deleted', 2), version('created', 3), move(1, 3)]],
  ['a model renamed', [model('renamed', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/new' } }), move(1, 2)]],
  [
    'a model deleted',
    [
      move(1, 0),
      model('deleted', { details: { latest_number: 2 } }),
      model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/scorer' } }),
    ],
  ],
  ['a contributor', [move(1, 2, { actor: by('carol') })]],
  [
    'a call under way when the role ended',
    [role('carol', 'fraud', 'READER', { minute: 5 }), move(1, 2, { actor: by('carol'), minute: 5 })],
  ],
  ['a refusal, which changed nothing', [move(7, 9, { outcome: 'OUTCOME_DENIED' })]],
  ['another producer', [{ ...move(7, 9), producer: 'artifact' }]],
  ['an event of an unknown type', [event('gate.created', { actor: by('nobody') })]],
])('the rules are kept by %s', (_, events) => {
  expect(verdict(...events)).toBe('kept')
})

test.each<[string, LeafEvent[]]>([
  ['was moved from 2, but pointed at 1', [move(2, 1)]],
  ['had the digest sha256:1', [move(1, 2, { beforeDigest: 'sha256:other' })]],
  ['had the digest sha256:2', [move(1, 2, { afterDigest: 'sha256:other' })]],
  ['to version 3, which was not there', [move(1, 3)]],
  ['to version 2, which was not there', [version('deleted', 2), move(1, 2)]],
  ['its model was not there', [move(1, 2, { details: { from: 1, to: 2, model_id: 'x' } })]],
  ['was removed, but was not there', [move(1, 0), move(0, 0)]],
  ['its number should be 3', [version('created', 4)]],
  ['its number should be 3', [version('deleted', 2), version('created', 2)]],
  ['there was no model', [version('created', 1, { resource: { name: 'fraud/other:1', namespace: 'fraud' } })]],
  ['the alias fraud/scorer@live pointed at it', [version('deleted', 1)]],
  ['it was not there', [version('deleted', 7)]],
  ['it was not there', [version('updated', 7)]],
  ['it was not there', [model('archived', { resource: { id: 'x', namespace: 'fraud', name: 'fraud/x' } })]],
  ['pointed at a version of it', [model('deleted', { details: { latest_number: 2 } })]],
  ['its last version was 2', [move(1, 0), model('deleted', { details: { latest_number: 3 } })]],
  [
    'there was a model fraud/scorer already',
    [model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/scorer' } })],
  ],
  ['it was there already', [model('created')]],
  [
    'the model fraud/scorer was in it',
    [event('namespace.deleted', { actor: by('alice'), resource: { namespace: 'fraud', name: 'fraud' } })],
  ],
  ['nobody, who showed no token', [move(1, 2, { actor: { method: 'none' } })]],
  [
    'service:artifact, who showed no token',
    [move(1, 2, { actor: { principal: 'service:artifact', method: 'service' } })],
  ],
  ['a token that mallory was not given', [move(1, 2, { actor: by('mallory') })]],
  ['a token that mallory was not given', [move(1, 2, { actor: { ...by('alice'), principal: 'mallory' } })]],
  [
    'the token of carol had ended',
    [
      event('token.revoked', { actor: by('alice'), resource: { id: 'token-carol' }, minute: 2 }),
      move(1, 2, { actor: by('carol'), minute: 4 }),
    ],
  ],
  [
    'the token of dave had ended',
    [token('dave', 2), role('dave', '*', 'ADMIN'), move(1, 2, { actor: by('dave'), minute: 4 })],
  ],
  ['carol had no role for it: ADMIN on fraud', [version('deleted', 2, { actor: by('carol') })]],
  [
    'carol had no role for it: CONTRIBUTOR on fraud',
    [
      event('role.revoked', {
        actor: by('alice'),
        resource: { namespace: 'fraud' },
        details: { principal: 'carol', namespace: 'fraud' },
      }),
      move(1, 2, { actor: by('carol'), minute: 4 }),
    ],
  ],
  [
    'carol had no role for it: CONTRIBUTOR on other',
    [model('created', { actor: by('carol'), resource: { id: 'o', namespace: 'other', name: 'other/m' } })],
  ],
  ['carol had no role for it: ADMIN on *', [role('mallory', '*', 'ADMIN', { actor: by('carol') })]],
  ['carol had no role for it: PLATFORM on *', [event('token.created', { actor: by('carol'), resource: { id: 't' } })]],
])('it finds that %s', (text, events) => {
  expect(verdict(...events)).toContain(text)
})

test('it says which entry is meant, and does not list all of many', () => {
  expect(verdict(move(2, 1))).toBe(
    'it is as it was signed, but a rule was broken:\n' +
      '  entry 8, alias.moved.v1 of fraud/scorer@live: it was moved from 2, but pointed at 1',
  )
  expect(verdict(...Array.from({ length: 15 }, () => move(7, 1)))).toMatch(
    /broken 15 times:(\n {2}entry .*){10}\n {2}and 5 more$/,
  )
})
