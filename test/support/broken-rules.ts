// What breaks a rule of models, versions, aliases, roles or tokens, with what is said of it.
import { aliasResource, by, event, model, move, role, SERVER, token, version, type Told, without } from './governed.ts'

const measured = (number: number, digest = `sha256:${number}`) =>
  event('evaluation.created', {
    actor: by('carol'),
    resource: { id: 'e', namespace: 'fraud', name: `fraud/scorer:${number}`, digest },
  })
const ELSEWHERE = model('created', { actor: by('carol'), resource: { id: 'o', namespace: 'other', name: 'fraud/m' } })

export const BROKEN: [string, Told[]][] = [
  ['was moved from 2, but pointed at 1', [move(2, 1)]],
  ['was moved from 0, but pointed at 1', [move(1, 2, { details: { from: 0, to: 2, model_id: 'm' } })]],
  ['version 2 had the digest sha256:2', [move(1, 2, { afterDigest: 'sha256:1', resource: aliasResource(1) })]],
  ['had the digest sha256:1', [move(1, 2, { beforeDigest: 'sha256:other' })]],
  ['had the digest sha256:2', [move(1, 2, { afterDigest: 'sha256:other' })]],
  ['to version 3, which was not there', [move(1, 3)]],
  ['to version 2, which was not there', [version('deleted', 2), move(1, 2)]],
  ['its model was not there', [move(1, 2, { details: { from: 1, to: 2, model_id: 'x' } })]],
  ['was removed, but was not there', [move(1, 0), move(0, 0)]],
  ['it was moved to sha256:2, but is told of sha256:1', [move(1, 2, { resource: aliasResource(1) })]],
  ['its model was fraud/scorer', [move(1, 2, { resource: aliasResource(2, 'other') })]],
  ['not in the namespace other', [move(1, 2, { resource: { ...aliasResource(2), namespace: 'other' } })]],
  ['not in the namespace fraud', [model('created', { resource: { id: 'n', namespace: 'fraud', name: 'scorer' } })]],
  [
    'not in the namespace fraud/x',
    [model('created', { resource: { id: 'n', namespace: 'fraud/x', name: 'fraud/x/scorer' } })],
  ],
  ['it was called fraud/scorer', [model('updated', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/x' } })]],
  [
    'it was in the namespace fraud',
    [model('renamed', { resource: { id: 'm', namespace: 'other', name: 'other/scorer' } })],
  ],
  ['service:metadata, who showed no token', [move(1, 2, { actor: SERVER })]],
  ['the version was not there', [measured(7)]],
  ['the version had the digest sha256:2', [measured(2, 'sha256:1')]],
  ['carol had no role for it: CONTRIBUTOR on other', [ELSEWHERE]],
  ['it cannot be judged, as its details.to was erased', [without(move(1, 2), 'details.to')]],
  ['it cannot be judged, as its details was erased', [without(role('carol', 'fraud', 'READER'), 'reason', 'details')]],
  ['it was not there', [model('renamed', { resource: { id: 'x', namespace: 'fraud', name: 'fraud/x' } })]],
  ['it was not there', [model('unarchived', { resource: { id: 'x', namespace: 'fraud', name: 'fraud/x' } })]],
  ['it was not there', [model('deleted', { resource: { id: 'x', namespace: 'fraud', name: 'fraud/x' } })]],
  ['it was not there', [move(1, 0), model('deleted', { details: { latest_number: 2 } }), model('updated')]],
  [
    'there was a model fraud/new already',
    [
      model('renamed', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/new' } }),
      model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/new' } }),
    ],
  ],
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
  ['it was there already', [model('created', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/new' } })]],
  [
    'the model fraud/scorer was in it',
    [event('namespace.deleted', { actor: by('alice'), resource: { namespace: 'fraud', name: 'fraud' } })],
  ],
  ['alice, who showed no token', [move(1, 2, { actor: { ...by('alice'), method: 'service' } })]],
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
]
