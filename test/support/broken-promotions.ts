// Sequences of events that break a rule of promotions, each with the expected verdict of the verifier.
import { aliasResource, at, by, model, move, role, version, type StoryEvent, without } from './governed.ts'
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
  promoted,
  request,
} from './promoted.ts'

/** Another model with the same versions and alias as the first. */
const SECOND_MODEL = [
  model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/peer' } }),
  ...[1, 2].map((number) => {
    const resource = { id: 'w', namespace: 'fraud', name: `fraud/peer:${number}`, digest: `sha256:${number}` }
    return version('created', number, { resource })
  }),
  move(0, 1, { resource: aliasResource(1, 'peer'), details: { from: 0, to: 1, model_id: 'n' } }),
]
/** A version with the same bytes as version 2. */
const DUPLICATE = version('created', 3, {
  resource: { id: 'v3', namespace: 'fraud', name: 'fraud/scorer:3', digest: 'sha256:2' },
})
const WRONG = { ...OTHER_PROMOTION, id: 'p', digest: 'sha256:1' }

export const BROKEN_PROMOTION_STORIES: [string, StoryEvent[]][] = [
  ['promotion p was applied by frank', [...APPROVED, apply(APPROVERS), promoted({}, { actor: by('erin') })]],
  [
    'promotion p was for version 2 as live',
    [
      ...SECOND_MODEL,
      ...APPROVED,
      apply(APPROVERS),
      promoted({ model_id: 'n' }, { resource: aliasResource(2, 'peer') }),
    ],
  ],
  ['promotion p was for version 2 as live', [DUPLICATE, ...APPROVED, apply(APPROVERS), promoted({ to: 3 })]],
  [
    'a gate of the alias had changed since the request',
    [
      gate('created', 'h', { alias_pattern: 'x' }),
      ...APPROVED,
      gate('updated', 'h', { revision: 2 }),
      gate('updated', 'h', { revision: 3, alias_pattern: 'x' }),
      apply(APPROVERS),
      promoted(),
    ],
  ],
  [
    'promotion.requested.v1 of other/scorer@live: its model did not exist',
    [
      ...GATED,
      request(
        {},
        { actor: by('alice'), resource: { ...OTHER_PROMOTION, namespace: 'other', name: 'other/scorer@live' } },
      ),
    ],
  ],
  // The same without a gate.
  [
    'promotion.requested.v1 of other/scorer@live: its model did not exist',
    [
      ...GATED,
      request(
        { gates: [] },
        { actor: by('alice'), resource: { ...OTHER_PROMOTION, namespace: 'other', name: 'other/scorer@live' } },
      ),
    ],
  ],
  ['version 2 had digest sha256:2', [...GATED, request({}, { afterDigest: 'sha256:1', resource: WRONG })]],
  ['because details.approvers was erased', [...APPROVED, without(apply(APPROVERS), 'details.approvers'), promoted()]],
  ['because details was erased', [...REQUESTED, without(approve('erin'), 'details')]],
  ['alias.moved.v1 of fraud/scorer@live: guarded by fraud/g, but moved without a promotion', [...GATED, move(1, 2)]],
  ['guarded by fraud/g, but moved without a promotion', [...GATED, move(1, 0)]],
  ['promotion p was not applied for this move: it was never requested', [...GATED, promoted()]],
  ['promotion p was not applied for this move: it is pending', [...APPROVED, promoted()]],
  [
    'promotion p was not applied for this move: it was already rejected',
    [...REQUESTED, close('rejected', 'erin'), promoted()],
  ],
  [
    'promotion p was not applied for this move: it was already applied',
    [...APPROVED, apply(APPROVERS), promoted(), forced(2, 1), promoted()],
  ],
  ['the alias move did not follow directly', [...APPROVED, apply(APPROVERS), version('created', 3), move(1, 2)]],
  ['the alias move did not follow directly', [...APPROVED, apply(APPROVERS), version('created', 3)]],
  [
    'promotion p was for version 2 as live',
    [...APPROVED, apply(APPROVERS), promoted({ to: 1 }, { resource: aliasResource(1), afterDigest: 'sha256:1' })],
  ],
  [
    'promotion p was for version 2 as live',
    [
      ...APPROVED,
      apply(APPROVERS),
      {
        ...promoted({ from: 0 }),
        resource: { ...aliasResource(2), name: 'fraud/scorer@lame' },
        beforeDigest: '',
      },
    ],
  ],
  [
    'promotion p was for version 2 as live',
    [...APPROVED, apply(APPROVERS), promoted({ to: 0 }, { resource: aliasResource(0), afterDigest: '' })],
  ],

  [
    '1 of the 2 approvals required by gate fraud/g were given',
    [...REQUESTED, approve('erin'), apply(['erin']), promoted()],
  ],
  [
    'erin could no longer approve',
    [
      ...REQUESTED,
      approve('erin'),
      role('erin', 'fraud', 'CONTRIBUTOR', { minute: 3 }),
      approve('frank', {}, { minute: 5 }),
      apply(APPROVERS, {}, { minute: 5 }),
      promoted({}, { minute: 5 }),
    ],
  ],
  ['0 of the 2 approvals', [...REQUESTED, apply([]), promoted()]],
  ['1 of the 2 approvals', [...REQUESTED, approve('erin'), apply(['erin']), promoted()]],
  ['not given; approved by erin', [...REQUESTED, approve('erin'), apply(['erin', 'grace']), promoted()]],
  [
    '0 of the 1 approvals required by gate fraud/h',
    [
      ...GATED,
      gate('created', 'h', { approvals_required: 1, approvers: ['grace'] }),
      request({ gates: [gateMet('g'), gateMet('h')] }),
      ...APPROVERS.map((name) => approve(name, { gates: [requested('g'), requested('h')] })),
      apply(APPROVERS, { gates: [gateMet('g'), gateMet('h')] }),
      promoted(),
    ],
  ],
  ['not given; approved by erin, frank', [...APPROVED, apply(['erin', 'grace', 'frank']), promoted()]],
  ['1 of the 2 approvals', [...APPROVED, apply(['frank', 'frank']), promoted()]],
  [
    'it was applied by erin, but the deciding step was by frank',
    [...APPROVED, apply(APPROVERS, {}, { actor: by('erin') }), promoted()],
  ],
  [
    'it was applied by erin, but the deciding step was by frank',
    [...APPROVED, apply(APPROVERS, {}, { actor: by('erin') }), promoted({}, { actor: by('erin') })],
  ],
  [
    'a gate of the alias had changed since the request',
    [...APPROVED, gate('updated', 'g', { revision: 2 }), apply(APPROVERS), promoted()],
  ],
  [
    'a gate of the alias had changed since the request',
    [...REQUESTED, gate('updated', 'g', { revision: 2 }), approve('erin', { gates: [requested('g', 2)] })],
  ],
  [
    'a gate of the alias had changed since the request',
    [...APPROVED, gate('created', 'h', { approvals_required: 0 }), deleted('h', 2), apply(APPROVERS), promoted()],
  ],
  ['a gate of the alias had changed since the request', [...APPROVED, deleted('g', 2), apply(APPROVERS), promoted()]],
  [
    'a gate of the alias had changed since the request',
    [...APPROVED, deleted('g', 2), apply(APPROVERS, { gates: [] }), promoted()],
  ],
  ['the alias had moved since the request', [...APPROVED, forced(1, 2), forced(2, 1), apply(APPROVERS), promoted()]],
  ['the alias had moved since the request', [...APPROVED, forced(1, 0), apply(APPROVERS), promoted()]],
  ['it had expired', [...APPROVED, apply(APPROVERS, {}, { minute: 13 }), promoted()]],
  ['it had expired', [...REQUESTED, approve('erin', {}, { minute: 13 })]],
  ['it expires later than its gates allow', [...GATED, request({ expire_time: at(14) })]],
  [
    'it expires later than its gates allow',
    [...GATED, gate('created', 'h', { expiry_seconds: 60 }), request({ gates: [gateMet('g'), gateMet('h')] })],
  ],
  ['it does not match the request for version 2 as live', [...APPROVED, apply(APPROVERS, { number: 1 })]],
  ['it does not match the request for version 2 as live', [...APPROVED, apply(APPROVERS, { alias: 'lame' })]],
  ['it does not match the request for version 2 as live', [...APPROVED, apply(APPROVERS, { model_id: 'n' })]],
  ['it does not match the request for version 2 as live', [...APPROVED, apply(APPROVERS, { from: 0 })]],
  [
    'it does not match the request for version 2 as live',
    [...APPROVED, apply(APPROVERS, {}, { afterDigest: 'sha256:1' })],
  ],
  [
    'it does not match the request for version 2 as live',
    [...APPROVED, apply(APPROVERS, {}, { beforeDigest: 'sha256:2' })],
  ],
  [
    'it does not match the request for version 2 as live',
    [...REQUESTED, approve('erin', {}, { resource: { ...OTHER_PROMOTION, id: 'p', digest: 'sha256:1' } })],
  ],
  [
    'it does not match the request for version 2 as live',
    [
      ...REQUESTED,
      approve('erin', {}, { resource: { ...OTHER_PROMOTION, id: 'p', namespace: 'other', name: 'other/scorer@live' } }),
    ],
  ],
  ['it does not match the request for version 2 as live', [...REQUESTED, close('withdrawn', 'carol', { number: 1 })]],
  [
    'it does not match the request for version 2 as live',
    [...REQUESTED, close('withdrawn', 'carol', {}, { afterDigest: 'sha256:1' })],
  ],
  [
    'it does not match the request for version 2 as live',
    [
      ...REQUESTED,
      role('erin', 'other', 'APPROVER'),
      approve('erin', {}, { resource: { ...OTHER_PROMOTION, id: 'p', namespace: 'other', name: 'other/scorer@live' } }),
    ],
  ],
  // The log ends before the move, which would also be rejected.
  ['version 2 did not exist', [...APPROVED, version('deleted', 2), apply(APPROVERS)]],
  ['version 2 did not exist', [...APPROVED, version('deleted', 2), apply(APPROVERS), promoted()]],
  ['gate fraud/g guarded the alias, but is not listed', [...GATED, request({ gates: [] })]],
  ['gate fraud/g guarded the alias, but is not listed', [...REQUESTED, approve('erin', { gates: [] })]],
  ['gate fraud/g guarded the alias, but is not listed', [...APPROVED, apply(APPROVERS, { gates: [] }), promoted()]],
  ['a listed gate did not guard the alias', [...GATED, request({ gates: [gateMet('g'), gateMet('h')] })]],
  [
    'gate fraud/g is listed at revision 2, but was at 1',
    [...APPROVED, apply(APPROVERS, { gates: [gateMet('g', 2)] }), promoted()],
  ],
  [
    '1 of the 2 conditions of gate fraud/g are recorded',
    [...APPROVED, apply(APPROVERS, { gates: [{ ...requested('g'), conditions: ['TRUE'] }] })],
  ],
  ['0 of the 2 conditions of gate fraud/g are recorded', [...GATED, request({ gates: [requested('g')] })]],
  [
    'not all conditions of gate fraud/g were true',
    [...GATED, request({ gates: [{ ...requested('g'), conditions: ['TRUE', 'FALSE'] }] })],
  ],
  [
    'not all conditions of gate fraud/g were true',
    [...APPROVED, apply(APPROVERS, { gates: [{ ...requested('g'), conditions: ['ERROR', 'TRUE'] }] })],
  ],
  ['the version was created by alice', [...GATED, request({ creator: 'frank' })]],
  ['the alias pointed at 1, not at 0', [...GATED, request({ from: 0 })]],
  ['pointed at another digest', [...GATED, request({}, { beforeDigest: 'sha256:2' })]],
  ['version 2 had digest sha256:2', [...GATED, request({}, { afterDigest: 'sha256:1' })]],
  ['its alias is lame', [...GATED, request({ alias: 'lame', from: 0 }, { beforeDigest: '' })]],
  ['version 7 did not exist', [...GATED, request({ number: 7 })]],
  ['promotion.requested.v1 of fraud/scorer@live: its model did not exist', [...GATED, request({ model_id: 'n' })]],
]
