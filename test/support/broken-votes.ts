// Stories with votes that do not count, or by principals who may not vote, each with the expected verdict.
import { role, SERVER, type StoryEvent } from './governed.ts'
import { approve, REQUESTED, APPROVERS, close, gate, GATED, gateMet, PEOPLE, request } from './promoted.ts'

export const BROKEN_VOTE_STORIES: [string, StoryEvent[]][] = [
  ['alice created the version', [...REQUESTED, approve('alice')]],
  ['carol requested it', [role('carol', 'fraud', 'APPROVER'), ...REQUESTED, approve('carol')]],
  ['erin had already approved it', [...REQUESTED, approve('erin'), approve('erin')]],
  [
    'no gate counts approvals by erin',
    [...PEOPLE, gate('created', 'g', { approvers: APPROVERS.slice(1) }), request(), approve('erin')],
  ],
  ['carol requested it', [role('carol', 'fraud', 'APPROVER'), ...REQUESTED, close('rejected', 'carol')]],
  ['heidi without a token', [...REQUESTED, approve('heidi', {}, { actor: { principal: 'heidi', method: 'none' } })]],
  ['service:metadata without a token', [...REQUESTED, approve('', {}, { actor: SERVER })]],
  [
    'erin lacked the role APPROVER on fraud',
    [...GATED, role('erin', 'fraud', 'CONTRIBUTOR'), request(), approve('erin', {}, { minute: 5 })],
  ],
  [
    'erin lacked the role APPROVER on fraud',
    [...GATED, role('erin', 'fraud', 'CONTRIBUTOR'), request(), close('rejected', 'erin', {}, { minute: 5 })],
  ],
  [
    'gate fraud/g is listed at revision 1, but was at 2',
    [...GATED, gate('updated', 'g', { revision: 2 }), request({ gates: [gateMet('g', 2)] }), approve('erin')],
  ],
]
