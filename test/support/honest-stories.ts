// Honest stories, each with a name.
import { aliasResource, by, event, model, move, role, SERVER, version, type StoryEvent, without } from './governed.ts'
import {
  APPROVED,
  apply,
  approve,
  REQUESTED,
  requested,
  APPROVERS,
  close,
  deleted,
  forced,
  gate,
  GATED,
  gateMet,
  OTHER_PROMOTION,
  PEOPLE,
  promoted,
  request,
} from './promoted.ts'

const measured = event('evaluation.created', {
  actor: by('carol'),
  resource: { id: 'e', namespace: 'fraud', name: 'fraud/scorer:2', digest: 'sha256:2' },
})
const NEW = { resource: aliasResource(2, 'new') }

const BY_CAROL = { actor: by('carol') }

export const HONEST_STORIES: [string, StoryEvent[]][] = [
  ['nothing more', []],
  ['a chain of moves', [move(1, 2), move(2, 1), move(1, 0), move(0, 2)]],
  [
    'another alias of the model, and one of the same name of another model',
    [
      move(0, 2, { resource: { ...aliasResource(2), name: 'fraud/scorer@late' } }),
      model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/other' } }),
      version('created', 1, { resource: { id: 'w', namespace: 'fraud', name: 'fraud/other:1', digest: 'sha256:1' } }),
      move(0, 1, { resource: aliasResource(1, 'other'), details: { from: 0, to: 1, model_id: 'n' } }),
      move(1, 2),
    ],
  ],
  ['a version after a deleted one', [version('deleted', 2), version('created', 3), move(1, 3)]],
  [
    'a model renamed',
    [model('renamed', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/new' } }), move(1, 2, NEW)],
  ],
  [
    'a model deleted',
    [
      move(1, 0),
      model('deleted', { details: { latest_number: 2 } }),
      model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/scorer' } }),
    ],
  ],
  ['an evaluation', [measured]],
  ['a version with another description', [version('updated', 2)]],
  [
    'another model with the name from before a rename',
    [
      model('renamed', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/new' } }),
      model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/scorer' } }),
    ],
  ],
  [
    'details that were erased and are not looked at',
    [
      without(version('created', 3), 'details'),
      without(version('updated', 3), 'reason', 'details.fields'),
      move(1, 0),
      without(model('deleted'), 'details.latest_number'),
    ],
  ],
  ['a contributor', [move(1, 2, { actor: by('carol') })]],
  [
    'a call under way when the role ended',
    [role('carol', 'fraud', 'READER', { minute: 5 }), move(1, 2, { actor: by('carol'), minute: 5 })],
  ],
  ['a refusal, which changed nothing', [move(7, 9, { outcome: 'OUTCOME_DENIED' })]],
  ['another producer', [{ ...move(7, 9), producer: 'artifact' }]],
  ['an event of an unknown type', [event('future.told', { actor: by('nobody') })]],

  ['a promotion that two approved', [...APPROVED, apply(APPROVERS), promoted()]],
  [
    'a promotion of which somebody who had approved has left',
    [
      ...REQUESTED,
      approve('erin'),
      role('erin', 'fraud', 'CONTRIBUTOR', { minute: 3 }),
      approve('frank', {}, { minute: 5 }),
      approve('grace', {}, { minute: 5 }),
      apply(['frank', 'grace'], {}, { actor: by('grace'), minute: 5 }),
      promoted({}, { actor: by('grace'), minute: 5 }),
    ],
  ],
  [
    'a promotion of a model that was renamed meanwhile',
    [
      ...APPROVED,
      model('renamed', { resource: { id: 'm', namespace: 'fraud', name: 'fraud/new' } }),
      apply(APPROVERS),
      promoted({}, NEW),
    ],
  ],
  [
    'a gate without approvals',
    [
      ...GATED,
      gate('updated', 'g', { revision: 2, approvals_required: 0 }),
      request({ gates: [gateMet('g', 2)] }),
      apply([], { gates: [gateMet('g', 2)] }),
      promoted({}, BY_CAROL),
    ],
  ],
  ['an alias that no gate guards', [...PEOPLE, gate('created', 'g', { alias_pattern: 'prod*' }), move(1, 2)]],
  ['a promotion of one', [...PEOPLE, request({ gates: [] }), apply([], { gates: [] }), promoted({}, BY_CAROL)]],
  [
    "a gate of another model's aliases",
    [
      model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/other' } }),
      gate('created', 'g', { model_id: 'n' }),
      move(1, 2),
    ],
  ],
  [
    'a gate of another namespace',
    [gate('created', 'g', {}, { resource: { id: 'x', namespace: 'other', name: 'other/g' } }), move(1, 2)],
  ],
  ['a move after the gate is gone', [...GATED, deleted('g', 2), move(1, 2)]],
  ['an admin who breaks the glass', [...GATED, forced(1, 2), forced(2, 0)]],
  [
    'a promotion that is rejected, and one that is withdrawn',
    [
      ...REQUESTED,
      close('rejected', 'erin'),
      request({}, { resource: OTHER_PROMOTION }),
      close('withdrawn', 'carol', {}, { resource: OTHER_PROMOTION }),
    ],
  ],
  ['a promotion withdrawn by an admin', [...REQUESTED, close('withdrawn', 'alice')]],
  ['a promotion that expires', [...REQUESTED, close('expired', '', {}, { actor: SERVER, minute: 12 })]],
  [
    'a gate made after a promotion was requested, which voids it',
    [...REQUESTED, gate('created', 'h'), close('voided', 'alice', { because: 'GATE_CHANGED' })],
  ],
  [
    'a gate that comes to guard another alias, which voids a promotion to it',
    [
      gate('created', 'h', { alias_pattern: 'x' }),
      ...REQUESTED,
      gate('updated', 'h', { revision: 2 }),
      close('voided', 'alice', { because: 'GATE_CHANGED' }),
    ],
  ],
  [
    'a gate changed to another pattern, which voids it',
    [
      ...REQUESTED,
      gate('updated', 'g', { revision: 2, alias_pattern: 'x' }),
      close('voided', 'alice', { because: 'GATE_CHANGED' }),
      move(1, 2),
    ],
  ],
  [
    'a gate deleted, which voids it',
    [...REQUESTED, deleted('g', 2), close('voided', 'alice', { because: 'GATE_CHANGED' }), move(1, 2)],
  ],
  [
    'a gate made after a promotion that it does not touch',
    [
      ...REQUESTED,
      gate('created', 'h', { alias_pattern: 'x' }),
      approve('erin'),
      approve('frank'),
      apply(APPROVERS),
      promoted(),
    ],
  ],
  [
    'a glass broken, which voids a promotion',
    [...REQUESTED, forced(1, 2), close('voided', 'alice', { because: 'ALIAS_MOVED' })],
  ],
  [
    'another promotion, which voids the first',
    [
      ...REQUESTED,
      request({}, { resource: OTHER_PROMOTION }),
      approve('erin'),
      approve('frank'),
      apply(APPROVERS),
      promoted(),
      close('voided', 'frank', { because: 'ALIAS_MOVED' }, { resource: OTHER_PROMOTION }),
    ],
  ],
  [
    'two gates, of which one counts only one person',
    [
      ...GATED,
      gate('created', 'h', { approvals_required: 1, approvers: ['grace'] }),
      request({ gates: [gateMet('g'), gateMet('h')] }),
      approve('grace', { gates: [requested('h'), requested('g')] }),
      approve('erin', { gates: [requested('g'), requested('h')] }),
      apply(['grace', 'erin'], { gates: [gateMet('g'), gateMet('h')] }),
      promoted({}, { actor: by('erin') }),
    ],
  ],
  [
    'a model deleted after its gates',
    [
      gate('created', 'g', { model_id: 'm', alias_pattern: 'x' }),
      move(1, 0),
      gate('deleted', 'g', { model_id: 'm', revision: 2 }),
      model('deleted', { details: { latest_number: 2 } }),
    ],
  ],
]
