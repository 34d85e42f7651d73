// What breaks a rule of gates, with what is said of it.
import { by, event, model, move, type Told, without } from './governed.ts'
import { asked, deleted, forced, gate, GATED } from './promoted.ts'

export const BROKEN_GATES: [string, Told[]][] = [
  ['carol had no role for it: ADMIN on fraud', [gate('created', 'g', {}, { actor: by('carol') })]],
  [
    'carol had no role for it: ADMIN on fraud',
    [...GATED, gate('updated', 'g', { revision: 2 }, { actor: by('carol') })],
  ],
  [
    'carol had no role for it: ADMIN on fraud',
    [...GATED, gate('deleted', 'g', { revision: 2 }, { actor: by('carol') })],
  ],
  ['carol had no role for it: ADMIN on fraud', [...GATED, forced(1, 2, [asked('g')], 'carol')]],
  ['no gate guarded it', [forced(1, 2)]],
  ['is missing from it', [...GATED, forced(1, 2, [])]],
  ['it was moved from 2, but pointed at 1', [...GATED, forced(2, 1)]],
  ['it was there already', [...GATED, gate('created', 'g')]],
  [
    'it was there already',
    [...GATED, gate('created', 'g', {}, { resource: { id: 'gate-g', namespace: 'fraud', name: 'fraud/h' } })],
  ],
  [
    'there was a gate fraud/g already',
    [...GATED, gate('created', 'g', {}, { resource: { id: 'x', namespace: 'fraud', name: 'fraud/g' } })],
  ],
  ['its first revision is 1, and not 2', [gate('created', 'g', { revision: 2 })]],
  ['its model was not there', [gate('created', 'g', { model_id: 'n' })]],
  ['its rules are not written', [gate('created', 'g', { approvals_required: '2' })]],
  ['its rules are not written', [gate('created', 'g', { approvers: 'erin' })]],
  ['its rules are not written', [gate('created', 'g', { model_id: 7 })]],
  [
    'as its details.approvers was erased',
    [without(gate('created', 'g', { approvers: undefined }), 'details.approvers')],
  ],
  ['its rules are not written', [...GATED, gate('updated', 'g', { revision: 2, alias_pattern: undefined })]],
  ['its next revision is 2, and not 1', [...GATED, gate('updated', 'g')]],
  ['its next revision is 2, and not 3', [...GATED, deleted('g', 3)]],
  ['it was not there', [gate('updated', 'g')]],
  ['it was not there', [deleted('g', 2)]],
  [
    'it was called fraud/g',
    [
      ...GATED,
      gate('updated', 'g', { revision: 2 }, { resource: { id: 'gate-g', namespace: 'fraud', name: 'fraud/h' } }),
    ],
  ],
  ['the aliases of another model', [...GATED, gate('updated', 'g', { revision: 2, model_id: 'm' })]],
  [
    'it is not in the namespace other',
    [gate('created', 'g', {}, { resource: { id: 'x', namespace: 'other', name: 'fraud/g' } })],
  ],
  [
    'the gate fraud/g guarded its aliases',
    [
      gate('created', 'g', { model_id: 'm', alias_pattern: 'x' }),
      move(1, 0),
      model('deleted', { details: { latest_number: 2 } }),
    ],
  ],
  [
    'the gate other/g was in it',
    [
      gate('created', 'g', {}, { resource: { id: 'x', namespace: 'other', name: 'other/g' } }),
      event('namespace.deleted', { actor: by('alice'), resource: { namespace: 'other', name: 'other' } }),
    ],
  ],
]
