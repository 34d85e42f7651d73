// Stories that break a rule of promotions, each with the expected verdict.
import { aliasResource, at, by, model, move, role, SERVER, version, type StoryEvent, without } from './governed.ts'
import {
  AGREED,
  apply,
  approve,
  ASKED,
  asked,
  BOTH,
  close,
  deleted,
  forced,
  gate,
  GATED,
  met,
  OTHER,
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
const WRONG = { ...OTHER, id: 'p', digest: 'sha256:1' }

export const BROKEN_PROMOTIONS: [string, StoryEvent[]][] = [
  ['promotion p was applied by frank', [...AGREED, apply(BOTH), promoted({}, { actor: by('erin') })]],
  [
    'promotion p was for version 2 as live',
    [...SECOND_MODEL, ...AGREED, apply(BOTH), promoted({ model_id: 'n' }, { resource: aliasResource(2, 'peer') })],
  ],
  ['promotion p was for version 2 as live', [DUPLICATE, ...AGREED, apply(BOTH), promoted({ to: 3 })]],
  [
    'a gate of the alias had changed since the request',
    [
      gate('created', 'h', { alias_pattern: 'x' }),
      ...AGREED,
      gate('updated', 'h', { revision: 2 }),
      gate('updated', 'h', { revision: 3, alias_pattern: 'x' }),
      apply(BOTH),
      promoted(),
    ],
  ],
  [
    'promotion.requested.v1 of other/scorer@live: its model did not exist',
    [
      ...GATED,
      request({}, { actor: by('alice'), resource: { ...OTHER, namespace: 'other', name: 'other/scorer@live' } }),
    ],
  ],
  // The same without a gate.
  [
    'promotion.requested.v1 of other/scorer@live: its model did not exist',
    [
      ...GATED,
      request(
        { gates: [] },
        { actor: by('alice'), resource: { ...OTHER, namespace: 'other', name: 'other/scorer@live' } },
      ),
    ],
  ],
  ['version 2 had digest sha256:2', [...GATED, request({}, { afterDigest: 'sha256:1', resource: WRONG })]],
  ['because details.approvers was erased', [...AGREED, without(apply(BOTH), 'details.approvers'), promoted()]],
  ['because details was erased', [...ASKED, without(approve('erin'), 'details')]],
  ['alias.moved.v1 of fraud/scorer@live: guarded by fraud/g, but moved without a promotion', [...GATED, move(1, 2)]],
  ['guarded by fraud/g, but moved without a promotion', [...GATED, move(1, 0)]],
  ['promotion p was not applied for this move: it was never requested', [...GATED, promoted()]],
  ['promotion p was not applied for this move: it is pending', [...AGREED, promoted()]],
  [
    'promotion p was not applied for this move: it was already rejected',
    [...ASKED, close('rejected', 'erin'), promoted()],
  ],
  [
    'promotion p was not applied for this move: it was already applied',
    [...AGREED, apply(BOTH), promoted(), forced(2, 1), promoted()],
  ],
  ['the alias move did not follow directly', [...AGREED, apply(BOTH), version('created', 3), move(1, 2)]],
  ['the alias move did not follow directly', [...AGREED, apply(BOTH), version('created', 3)]],
  [
    'promotion p was for version 2 as live',
    [...AGREED, apply(BOTH), promoted({ to: 1 }, { resource: aliasResource(1), afterDigest: 'sha256:1' })],
  ],
  [
    'promotion p was for version 2 as live',
    [
      ...AGREED,
      apply(BOTH),
      {
        ...promoted({ from: 0 }),
        resource: { ...aliasResource(2), name: 'fraud/scorer@lame' },
        beforeDigest: '',
      },
    ],
  ],
  [
    'promotion p was for version 2 as live',
    [...AGREED, apply(BOTH), promoted({ to: 0 }, { resource: aliasResource(0), afterDigest: '' })],
  ],

  [
    '1 of the 2 approvals required by gate fraud/g were given',
    [...ASKED, approve('erin'), apply(['erin']), promoted()],
  ],
  [
    'erin could no longer approve',
    [
      ...ASKED,
      approve('erin'),
      role('erin', 'fraud', 'CONTRIBUTOR', { minute: 3 }),
      approve('frank', {}, { minute: 5 }),
      apply(BOTH, {}, { minute: 5 }),
      promoted({}, { minute: 5 }),
    ],
  ],
  ['0 of the 2 approvals', [...ASKED, apply([]), promoted()]],
  ['1 of the 2 approvals', [...ASKED, approve('erin'), apply(['erin']), promoted()]],
  ['not given; approved by erin', [...ASKED, approve('erin'), apply(['erin', 'grace']), promoted()]],
  [
    '0 of the 1 approvals required by gate fraud/h',
    [
      ...GATED,
      gate('created', 'h', { approvals_required: 1, approvers: ['grace'] }),
      request({ gates: [met('g'), met('h')] }),
      ...BOTH.map((name) => approve(name, { gates: [asked('g'), asked('h')] })),
      apply(BOTH, { gates: [met('g'), met('h')] }),
      promoted(),
    ],
  ],
  ['not given; approved by erin, frank', [...AGREED, apply(['erin', 'grace', 'frank']), promoted()]],
  ['1 of the 2 approvals', [...AGREED, apply(['frank', 'frank']), promoted()]],
  [
    'it was applied by erin, but the deciding step was by frank',
    [...AGREED, apply(BOTH, {}, { actor: by('erin') }), promoted()],
  ],
  [
    'it was applied by erin, but the deciding step was by frank',
    [...AGREED, apply(BOTH, {}, { actor: by('erin') }), promoted({}, { actor: by('erin') })],
  ],
  [
    'a gate of the alias had changed since the request',
    [...AGREED, gate('updated', 'g', { revision: 2 }), apply(BOTH), promoted()],
  ],
  [
    'a gate of the alias had changed since the request',
    [...ASKED, gate('updated', 'g', { revision: 2 }), approve('erin', { gates: [asked('g', 2)] })],
  ],
  [
    'a gate of the alias had changed since the request',
    [...AGREED, gate('created', 'h', { approvals_required: 0 }), deleted('h', 2), apply(BOTH), promoted()],
  ],
  ['a gate of the alias had changed since the request', [...AGREED, deleted('g', 2), apply(BOTH), promoted()]],
  [
    'a gate of the alias had changed since the request',
    [...AGREED, deleted('g', 2), apply(BOTH, { gates: [] }), promoted()],
  ],
  ['the alias had moved since the request', [...AGREED, forced(1, 2), forced(2, 1), apply(BOTH), promoted()]],
  ['the alias had moved since the request', [...AGREED, forced(1, 0), apply(BOTH), promoted()]],
  ['it had expired', [...AGREED, apply(BOTH, {}, { minute: 13 }), promoted()]],
  ['it had expired', [...ASKED, approve('erin', {}, { minute: 13 })]],
  ['it expires later than its gates allow', [...GATED, request({ expire_time: at(14) })]],
  [
    'it expires later than its gates allow',
    [...GATED, gate('created', 'h', { expiry_seconds: 60 }), request({ gates: [met('g'), met('h')] })],
  ],
  ['it does not match the request for version 2 as live', [...AGREED, apply(BOTH, { number: 1 })]],
  ['it does not match the request for version 2 as live', [...AGREED, apply(BOTH, { alias: 'lame' })]],
  ['it does not match the request for version 2 as live', [...AGREED, apply(BOTH, { model_id: 'n' })]],
  ['it does not match the request for version 2 as live', [...AGREED, apply(BOTH, { from: 0 })]],
  ['it does not match the request for version 2 as live', [...AGREED, apply(BOTH, {}, { afterDigest: 'sha256:1' })]],
  ['it does not match the request for version 2 as live', [...AGREED, apply(BOTH, {}, { beforeDigest: 'sha256:2' })]],
  [
    'it does not match the request for version 2 as live',
    [...ASKED, approve('erin', {}, { resource: { ...OTHER, id: 'p', digest: 'sha256:1' } })],
  ],
  [
    'it does not match the request for version 2 as live',
    [...ASKED, approve('erin', {}, { resource: { ...OTHER, id: 'p', namespace: 'other', name: 'other/scorer@live' } })],
  ],
  ['it does not match the request for version 2 as live', [...ASKED, close('withdrawn', 'carol', { number: 1 })]],
  [
    'it does not match the request for version 2 as live',
    [...ASKED, close('withdrawn', 'carol', {}, { afterDigest: 'sha256:1' })],
  ],
  [
    'it does not match the request for version 2 as live',
    [
      ...ASKED,
      role('erin', 'other', 'APPROVER'),
      approve('erin', {}, { resource: { ...OTHER, id: 'p', namespace: 'other', name: 'other/scorer@live' } }),
    ],
  ],
  // The log ends before the move, which would also be rejected.
  ['version 2 did not exist', [...AGREED, version('deleted', 2), apply(BOTH)]],
  ['version 2 did not exist', [...AGREED, version('deleted', 2), apply(BOTH), promoted()]],
  ['gate fraud/g guarded the alias, but is not listed', [...GATED, request({ gates: [] })]],
  ['gate fraud/g guarded the alias, but is not listed', [...ASKED, approve('erin', { gates: [] })]],
  ['gate fraud/g guarded the alias, but is not listed', [...AGREED, apply(BOTH, { gates: [] }), promoted()]],
  ['a listed gate did not guard the alias', [...GATED, request({ gates: [met('g'), met('h')] })]],
  [
    'gate fraud/g is listed at revision 2, but was at 1',
    [...AGREED, apply(BOTH, { gates: [met('g', 2)] }), promoted()],
  ],
  [
    '1 of the 2 conditions of gate fraud/g are recorded',
    [...AGREED, apply(BOTH, { gates: [{ ...asked('g'), conditions: ['TRUE'] }] })],
  ],
  ['0 of the 2 conditions of gate fraud/g are recorded', [...GATED, request({ gates: [asked('g')] })]],
  [
    'not all conditions of gate fraud/g were true',
    [...GATED, request({ gates: [{ ...asked('g'), conditions: ['TRUE', 'FALSE'] }] })],
  ],
  [
    'not all conditions of gate fraud/g were true',
    [...AGREED, apply(BOTH, { gates: [{ ...asked('g'), conditions: ['ERROR', 'TRUE'] }] })],
  ],
  ['the version was created by alice', [...GATED, request({ creator: 'frank' })]],
  ['the alias pointed at 1, not at 0', [...GATED, request({ from: 0 })]],
  ['pointed at another digest', [...GATED, request({}, { beforeDigest: 'sha256:2' })]],
  ['version 2 had digest sha256:2', [...GATED, request({}, { afterDigest: 'sha256:1' })]],
  ['its alias is lame', [...GATED, request({ alias: 'lame', from: 0 }, { beforeDigest: '' })]],
  ['version 7 did not exist', [...GATED, request({ number: 7 })]],
  ['promotion.requested.v1 of fraud/scorer@live: its model did not exist', [...GATED, request({ model_id: 'n' })]],
  ['it already existed', [...ASKED, request()]],
  ['it already existed', [...ASKED, close('withdrawn', 'carol'), request()]],
  ['it was already withdrawn', [...ASKED, close('withdrawn', 'carol'), approve('erin')]],
  ['it was never requested', [...GATED, approve('erin')]],
  ['it was never requested', [...GATED, apply(BOTH), promoted()]],
  ['it was never requested', [...GATED, close('voided', 'alice', { because: 'ALIAS_MOVED' })]],
  ['it was never requested', [...GATED, close('rejected', 'erin')]],
  ['it was never requested', [...GATED, close('expired', '', {}, { actor: SERVER })]],
  ['erin lacked the role ADMIN on fraud', [...ASKED, close('withdrawn', 'erin')]],
  ['it had not expired', [...ASKED, close('expired', '', {}, { actor: SERVER })]],
  ['only the service expires promotions', [...ASKED, close('expired', 'carol', {}, { minute: 12 })]],
  ['the alias had not moved', [...ASKED, close('voided', 'carol', { because: 'ALIAS_MOVED' })]],
  ['no gate of the alias had changed', [...ASKED, close('voided', 'carol', { because: 'GATE_CHANGED' })]],
]
