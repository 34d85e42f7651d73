// Stories that break a rule of models, versions, aliases, roles or tokens, each with the expected verdict.
import {
  aliasResource,
  by,
  event,
  model,
  move,
  role,
  SERVER,
  token,
  version,
  type StoryEvent,
  without,
} from './governed.ts'

const measured = (number: number, digest = `sha256:${number}`) =>
  event('evaluation.created', {
    actor: by('carol'),
    resource: { id: 'e', namespace: 'fraud', name: `fraud/scorer:${number}`, digest },
  })
const ELSEWHERE = model('created', { actor: by('carol'), resource: { id: 'o', namespace: 'other', name: 'fraud/m' } })

export const RULE_VIOLATIONS: [string, StoryEvent[]][] = [
  ['moved from 2, but the alias pointed at 1', [move(2, 1)]],
  ['moved from 0, but the alias pointed at 1', [move(1, 2, { details: { from: 0, to: 2, model_id: 'm' } })]],
  ['version 2 had digest sha256:2', [move(1, 2, { afterDigest: 'sha256:1', resource: aliasResource(1) })]],
  ['pointed at digest sha256:1', [move(1, 2, { beforeDigest: 'sha256:other' })]],
  ['had digest sha256:2', [move(1, 2, { afterDigest: 'sha256:other' })]],
  ['to version 3, which did not exist', [move(1, 3)]],
  ['to version 2, which did not exist', [version('deleted', 2), move(1, 2)]],
  ['its model did not exist', [move(1, 2, { details: { from: 1, to: 2, model_id: 'x' } })]],
  ['removed, but the alias did not exist', [move(1, 0), move(0, 0)]],
  ['moved to sha256:2, but the event names sha256:1', [move(1, 2, { resource: aliasResource(1) })]],
  ['its model was named fraud/scorer', [move(1, 2, { resource: aliasResource(2, 'other') })]],
  ['not in namespace other', [move(1, 2, { resource: { ...aliasResource(2), namespace: 'other' } })]],
  ['not in namespace fraud', [model('created', { resource: { id: 'n', namespace: 'fraud', name: 'scorer' } })]],
  [
    'not in namespace fraud/x',
    [model('created', { resource: { id: 'n', namespace: 'fraud/x', name: 'fraud/x/scorer' } })],
  ],
  ['its name was fraud/scorer', [model('updated', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/x' } })]],
  ['its namespace was fraud', [model('renamed', { resource: { id: 'm', namespace: 'other', name: 'other/scorer' } })]],
  ['service:metadata without a token', [move(1, 2, { actor: SERVER })]],
  ['the version did not exist', [measured(7)]],
  ['the version had digest sha256:2', [measured(2, 'sha256:1')]],
  ['carol lacked the role CONTRIBUTOR on other', [ELSEWHERE]],
  ['cannot be verified, because details.to was erased', [without(move(1, 2), 'details.to')]],
  ['cannot be verified, because details was erased', [without(role('carol', 'fraud', 'READER'), 'reason', 'details')]],
  ['it did not exist', [model('renamed', { resource: { id: 'x', namespace: 'fraud', name: 'fraud/x' } })]],
  ['it did not exist', [model('unarchived', { resource: { id: 'x', namespace: 'fraud', name: 'fraud/x' } })]],
  ['it did not exist', [model('deleted', { resource: { id: 'x', namespace: 'fraud', name: 'fraud/x' } })]],
  ['it did not exist', [move(1, 0), model('deleted', { details: { latest_number: 2 } }), model('updated')]],
  [
    'model fraud/new already existed',
    [
      model('renamed', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/new' } }),
      model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/new' } }),
    ],
  ],
  ['its number must be 3', [version('created', 4)]],
  ['its number must be 3', [version('deleted', 2), version('created', 2)]],
  [
    'model fraud/other did not exist',
    [version('created', 1, { resource: { name: 'fraud/other:1', namespace: 'fraud' } })],
  ],
  ['alias fraud/scorer@live pointed at it', [version('deleted', 1)]],
  ['it did not exist', [version('deleted', 7)]],
  ['it did not exist', [version('updated', 7)]],
  ['it did not exist', [model('archived', { resource: { id: 'x', namespace: 'fraud', name: 'fraud/x' } })]],
  ['pointed at one of its versions', [model('deleted', { details: { latest_number: 2 } })]],
  ['its last version was 2', [move(1, 0), model('deleted', { details: { latest_number: 3 } })]],
  [
    'model fraud/scorer already existed',
    [model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/scorer' } })],
  ],
  ['it already existed', [model('created')]],
  ['it already existed', [model('created', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/new' } })]],
  [
    'it still contained model fraud/scorer',
    [event('namespace.deleted', { actor: by('alice'), resource: { namespace: 'fraud', name: 'fraud' } })],
  ],
  ['alice without a token', [move(1, 2, { actor: { ...by('alice'), method: 'service' } })]],
  ['nobody without a token', [move(1, 2, { actor: { method: 'none' } })]],
  ['service:artifact without a token', [move(1, 2, { actor: { principal: 'service:artifact', method: 'service' } })]],
  ['a token that was not issued to mallory', [move(1, 2, { actor: by('mallory') })]],
  ['a token that was not issued to mallory', [move(1, 2, { actor: { ...by('alice'), principal: 'mallory' } })]],
  [
    'the token of carol had expired or was revoked',
    [
      event('token.revoked', { actor: by('alice'), resource: { id: 'token-carol' }, minute: 2 }),
      move(1, 2, { actor: by('carol'), minute: 4 }),
    ],
  ],
  [
    'the token of dave had expired or was revoked',
    [token('dave', 2), role('dave', '*', 'ADMIN'), move(1, 2, { actor: by('dave'), minute: 4 })],
  ],
  ['carol lacked the role ADMIN on fraud', [version('deleted', 2, { actor: by('carol') })]],
  [
    'carol lacked the role CONTRIBUTOR on fraud',
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
    'carol lacked the role CONTRIBUTOR on other',
    [model('created', { actor: by('carol'), resource: { id: 'o', namespace: 'other', name: 'other/m' } })],
  ],
  ['carol lacked the role ADMIN on *', [role('mallory', '*', 'ADMIN', { actor: by('carol') })]],
  ['carol lacked the role PLATFORM on *', [event('token.created', { actor: by('carol'), resource: { id: 't' } })]],
]
