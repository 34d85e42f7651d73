// What breaks a rule of promotions, with what is said of it.
import { aliasResource, at, by, model, move, role, SERVER, version, type Told, without } from './governed.ts'
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

/** Another model, as far as the first. */
const SISTER = [
  model('created', { resource: { id: 'n', namespace: 'fraud', name: 'fraud/sister' } }),
  ...[1, 2].map((number) => {
    const resource = { id: 'w', namespace: 'fraud', name: `fraud/sister:${number}`, digest: `sha256:${number}` }
    return version('created', number, { resource })
  }),
  move(0, 1, { resource: aliasResource(1, 'sister'), details: { from: 0, to: 1, model_id: 'n' } }),
]
/** The same bytes as version 2. */
const TWIN = version('created', 3, {
  resource: { id: 'v3', namespace: 'fraud', name: 'fraud/scorer:3', digest: 'sha256:2' },
})
const WRONG = { ...OTHER, id: 'p', digest: 'sha256:1' }

export const BROKEN_PROMOTIONS: [string, Told[]][] = [
  ['the promotion p was applied by frank', [...AGREED, apply(BOTH), promoted({}, { actor: by('erin') })]],
  [
    'the promotion p was for version 2 as live',
    [...SISTER, ...AGREED, apply(BOTH), promoted({ model_id: 'n' }, { resource: aliasResource(2, 'sister') })],
  ],
  ['the promotion p was for version 2 as live', [TWIN, ...AGREED, apply(BOTH), promoted({ to: 3 })]],
  [
    'a gate of the alias had changed since it was asked for',
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
    'promotion.requested.v1 of other/scorer@live: its model was not there',
    [
      ...GATED,
      request({}, { actor: by('alice'), resource: { ...OTHER, namespace: 'other', name: 'other/scorer@live' } }),
    ],
  ],
  // Where no gate guards it.
  [
    'promotion.requested.v1 of other/scorer@live: its model was not there',
    [
      ...GATED,
      request(
        { gates: [] },
        { actor: by('alice'), resource: { ...OTHER, namespace: 'other', name: 'other/scorer@live' } },
      ),
    ],
  ],
  ['version 2 had the digest sha256:2', [...GATED, request({}, { afterDigest: 'sha256:1', resource: WRONG })]],
  ['as its details.approvers was erased', [...AGREED, without(apply(BOTH), 'details.approvers'), promoted()]],
  ['as its details was erased', [...ASKED, without(approve('erin'), 'details')]],
  ['alias.moved.v1 of fraud/scorer@live: it is guarded by fraud/g, and no promotion moved it', [...GATED, move(1, 2)]],
  ['it is guarded by fraud/g, and no promotion moved it', [...GATED, move(1, 0)]],
  ['the promotion p was not applied for it: it was never asked for', [...GATED, promoted()]],
  ['the promotion p was not applied for it: it waits', [...AGREED, promoted()]],
  ['the promotion p was not applied for it: it was rejected before', [...ASKED, close('rejected', 'erin'), promoted()]],
  [
    'the promotion p was not applied for it: it was applied before',
    [...AGREED, apply(BOTH), promoted(), forced(2, 1), promoted()],
  ],
  ['its alias was not moved directly after it', [...AGREED, apply(BOTH), version('created', 3), move(1, 2)]],
  ['its alias was not moved directly after it', [...AGREED, apply(BOTH), version('created', 3)]],
  [
    'the promotion p was for version 2 as live',
    [...AGREED, apply(BOTH), promoted({ to: 1 }, { resource: aliasResource(1), afterDigest: 'sha256:1' })],
  ],
  [
    'the promotion p was for version 2 as live',
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
    'the promotion p was for version 2 as live',
    [...AGREED, apply(BOTH), promoted({ to: 0 }, { resource: aliasResource(0), afterDigest: '' })],
  ],

  [
    '1 of the 2 approvals that the gate fraud/g asks for were given',
    [...ASKED, approve('erin'), apply(['erin']), promoted()],
  ],
  [
    'erin could not approve any more',
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
  ['it was approved by erin', [...ASKED, approve('erin'), apply(['erin', 'grace']), promoted()]],
  [
    '0 of the 1 approvals that the gate fraud/h',
    [
      ...GATED,
      gate('created', 'h', { approvals_required: 1, approvers: ['grace'] }),
      request({ gates: [met('g'), met('h')] }),
      ...BOTH.map((name) => approve(name, { gates: [asked('g'), asked('h')] })),
      apply(BOTH, { gates: [met('g'), met('h')] }),
      promoted(),
    ],
  ],
  ['it was approved by erin, frank', [...AGREED, apply(['erin', 'grace', 'frank']), promoted()]],
  ['1 of the 2 approvals', [...AGREED, apply(['frank', 'frank']), promoted()]],
  [
    'it was applied by erin, and not with the last word of frank',
    [...AGREED, apply(BOTH, {}, { actor: by('erin') }), promoted()],
  ],
  [
    'it was applied by erin, and not with the last word of frank',
    [...AGREED, apply(BOTH, {}, { actor: by('erin') }), promoted({}, { actor: by('erin') })],
  ],
  [
    'a gate of the alias had changed since it was asked for',
    [...AGREED, gate('updated', 'g', { revision: 2 }), apply(BOTH), promoted()],
  ],
  [
    'a gate of the alias had changed since it was asked for',
    [...ASKED, gate('updated', 'g', { revision: 2 }), approve('erin', { gates: [asked('g', 2)] })],
  ],
  [
    'a gate of the alias had changed since it was asked for',
    [...AGREED, gate('created', 'h', { approvals_required: 0 }), deleted('h', 2), apply(BOTH), promoted()],
  ],
  ['a gate of the alias had changed since it was asked for', [...AGREED, deleted('g', 2), apply(BOTH), promoted()]],
  [
    'a gate of the alias had changed since it was asked for',
    [...AGREED, deleted('g', 2), apply(BOTH, { gates: [] }), promoted()],
  ],
  ['the alias had moved since it was asked for', [...AGREED, forced(1, 2), forced(2, 1), apply(BOTH), promoted()]],
  ['the alias had moved since it was asked for', [...AGREED, forced(1, 0), apply(BOTH), promoted()]],
  ['its time was over', [...AGREED, apply(BOTH, {}, { minute: 13 }), promoted()]],
  ['its time was over', [...ASKED, approve('erin', {}, { minute: 13 })]],
  ['it leaves approvers more time than its gates', [...GATED, request({ expire_time: at(14) })]],
  [
    'it leaves approvers more time than its gates',
    [...GATED, gate('created', 'h', { expiry_seconds: 60 }), request({ gates: [met('g'), met('h')] })],
  ],
  ['version 2 as live was asked for, and not this', [...AGREED, apply(BOTH, { number: 1 })]],
  ['version 2 as live was asked for, and not this', [...AGREED, apply(BOTH, { alias: 'lame' })]],
  ['version 2 as live was asked for, and not this', [...AGREED, apply(BOTH, { model_id: 'n' })]],
  ['version 2 as live was asked for, and not this', [...AGREED, apply(BOTH, { from: 0 })]],
  ['version 2 as live was asked for, and not this', [...AGREED, apply(BOTH, {}, { afterDigest: 'sha256:1' })]],
  ['version 2 as live was asked for, and not this', [...AGREED, apply(BOTH, {}, { beforeDigest: 'sha256:2' })]],
  [
    'version 2 as live was asked for, and not this',
    [...ASKED, approve('erin', {}, { resource: { ...OTHER, id: 'p', digest: 'sha256:1' } })],
  ],
  [
    'version 2 as live was asked for, and not this',
    [...ASKED, approve('erin', {}, { resource: { ...OTHER, id: 'p', namespace: 'other', name: 'other/scorer@live' } })],
  ],
  ['version 2 as live was asked for, and not this', [...ASKED, close('withdrawn', 'carol', { number: 1 })]],
  [
    'version 2 as live was asked for, and not this',
    [...ASKED, close('withdrawn', 'carol', {}, { afterDigest: 'sha256:1' })],
  ],
  [
    'version 2 as live was asked for, and not this',
    [
      ...ASKED,
      role('erin', 'other', 'APPROVER'),
      approve('erin', {}, { resource: { ...OTHER, id: 'p', namespace: 'other', name: 'other/scorer@live' } }),
    ],
  ],
  // The log ends before the move that would be refused, too.
  ['the version 2 was not there', [...AGREED, version('deleted', 2), apply(BOTH)]],
  ['the version 2 was not there', [...AGREED, version('deleted', 2), apply(BOTH), promoted()]],
  ['the gate fraud/g, which guarded the alias, is missing from it', [...GATED, request({ gates: [] })]],
  ['the gate fraud/g, which guarded the alias, is missing from it', [...ASKED, approve('erin', { gates: [] })]],
  [
    'the gate fraud/g, which guarded the alias, is missing from it',
    [...AGREED, apply(BOTH, { gates: [] }), promoted()],
  ],
  ['it names a gate that did not guard the alias', [...GATED, request({ gates: [met('g'), met('h')] })]],
  [
    'it is of revision 2 of the gate fraud/g, which was at 1',
    [...AGREED, apply(BOTH, { gates: [met('g', 2)] }), promoted()],
  ],
  [
    'of the 2 conditions of the gate fraud/g it tells of 1',
    [...AGREED, apply(BOTH, { gates: [{ ...asked('g'), conditions: ['TRUE'] }] })],
  ],
  ['of the 2 conditions of the gate fraud/g it tells of 0', [...GATED, request({ gates: [asked('g')] })]],
  [
    'not all conditions of the gate fraud/g were true',
    [...GATED, request({ gates: [{ ...asked('g'), conditions: ['TRUE', 'FALSE'] }] })],
  ],
  [
    'not all conditions of the gate fraud/g were true',
    [...AGREED, apply(BOTH, { gates: [{ ...asked('g'), conditions: ['ERROR', 'TRUE'] }] })],
  ],
  ['the version was created by alice', [...GATED, request({ creator: 'frank' })]],
  ['the alias pointed at 1, and not at 0', [...GATED, request({ from: 0 })]],
  ['had another digest', [...GATED, request({}, { beforeDigest: 'sha256:2' })]],
  ['version 2 had the digest sha256:2', [...GATED, request({}, { afterDigest: 'sha256:1' })]],
  ['it is for the alias lame', [...GATED, request({ alias: 'lame', from: 0 }, { beforeDigest: '' })]],
  ['the version 7 was not there', [...GATED, request({ number: 7 })]],
  ['promotion.requested.v1 of fraud/scorer@live: its model was not there', [...GATED, request({ model_id: 'n' })]],
  ['it was there already', [...ASKED, request()]],
  ['it was there already', [...ASKED, close('withdrawn', 'carol'), request()]],
  ['it was withdrawn before', [...ASKED, close('withdrawn', 'carol'), approve('erin')]],
  ['it was never asked for', [...GATED, approve('erin')]],
  ['it was never asked for', [...GATED, apply(BOTH), promoted()]],
  ['it was never asked for', [...GATED, close('voided', 'alice', { because: 'ALIAS_MOVED' })]],
  ['it was never asked for', [...GATED, close('rejected', 'erin')]],
  ['it was never asked for', [...GATED, close('expired', '', {}, { actor: SERVER })]],
  ['erin had no role for it: ADMIN on fraud', [...ASKED, close('withdrawn', 'erin')]],
  ['its time was not over', [...ASKED, close('expired', '', {}, { actor: SERVER })]],
  ['only the service itself', [...ASKED, close('expired', 'carol', {}, { minute: 12 })]],
  ['its alias had not moved', [...ASKED, close('voided', 'carol', { because: 'ALIAS_MOVED' })]],
  ['no gate of its alias had changed', [...ASKED, close('voided', 'carol', { because: 'GATE_CHANGED' })]],
]
