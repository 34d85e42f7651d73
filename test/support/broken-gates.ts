// Stories that break a rule of gates, each with the expected verdict.
import { by, event, model, move, type StoryEvent, without } from './governed.ts'
import { requested, deleted, forced, gate, GATED } from './promoted.ts'

export const BROKEN_GATE_STORIES: [string, StoryEvent[]][] = [
  ['carol lacked the role ADMIN on fraud', [gate('created', 'g', {}, { actor: by('carol') })]],
  ['carol lacked the role ADMIN on fraud', [...GATED, gate('updated', 'g', { revision: 2 }, { actor: by('carol') })]],
  ['carol lacked the role ADMIN on fraud', [...GATED, gate('deleted', 'g', { revision: 2 }, { actor: by('carol') })]],
  ['carol lacked the role ADMIN on fraud', [...GATED, forced(1, 2, [requested('g')], 'carol')]],
  ['no gate guarded the alias', [forced(1, 2)]],
  ['guarded the alias, but is not listed', [...GATED, forced(1, 2, [])]],
  ['moved from 2, but the alias pointed at 1', [...GATED, forced(2, 1)]],
  ['it already existed', [...GATED, gate('created', 'g')]],
  [
    'it already existed',
    [...GATED, gate('created', 'g', {}, { resource: { id: 'gate-g', namespace: 'fraud', name: 'fraud/h' } })],
  ],
  [
    'gate fraud/g already existed',
    [...GATED, gate('created', 'g', {}, { resource: { id: 'x', namespace: 'fraud', name: 'fraud/g' } })],
  ],
  ['its first revision must be 1, not 2', [gate('created', 'g', { revision: 2 })]],
  ['its model did not exist', [gate('created', 'g', { model_id: 'n' })]],
  ['its gate rules are malformed', [gate('created', 'g', { approvals_required: '2' })]],
  ['its gate rules are malformed', [gate('created', 'g', { approvers: 'erin' })]],
  ['its gate rules are malformed', [gate('created', 'g', { model_id: 7 })]],
  [
    'because details.approvers was erased',
    [without(gate('created', 'g', { approvers: undefined }), 'details.approvers')],
  ],
  ['its gate rules are malformed', [...GATED, gate('updated', 'g', { revision: 2, alias_pattern: undefined })]],
  ['its next revision must be 2, not 1', [...GATED, gate('updated', 'g')]],
  ['its next revision must be 2, not 3', [...GATED, deleted('g', 3)]],
  ['it did not exist', [gate('updated', 'g')]],
  ['it did not exist', [deleted('g', 2)]],
  [
    'its name was fraud/g',
    [
      ...GATED,
      gate('updated', 'g', { revision: 2 }, { resource: { id: 'gate-g', namespace: 'fraud', name: 'fraud/h' } }),
    ],
  ],
  ['the aliases of another model', [...GATED, gate('updated', 'g', { revision: 2, model_id: 'm' })]],
  [
    'its name is not in namespace other',
    [gate('created', 'g', {}, { resource: { id: 'x', namespace: 'other', name: 'fraud/g' } })],
  ],
  [
    'gate fraud/g guarded its aliases',
    [
      gate('created', 'g', { model_id: 'm', alias_pattern: 'x' }),
      move(1, 0),
      model('deleted', { details: { latest_number: 2 } }),
    ],
  ],
  [
    'it still contained gate other/g',
    [
      gate('created', 'g', {}, { resource: { id: 'x', namespace: 'other', name: 'other/g' } }),
      event('namespace.deleted', { actor: by('alice'), resource: { namespace: 'other', name: 'other' } }),
    ],
  ],
]
