// Votes on promotions that do not count, or by those who may not vote, with what is said of it.
import { role, SERVER, type Told } from './governed.ts'
import { approve, ASKED, BOTH, close, gate, GATED, met, PEOPLE, request } from './promoted.ts'

export const BROKEN_VOTES: [string, Told[]][] = [
  ['alice had created the version', [...ASKED, approve('alice')]],
  ['carol had asked for it', [role('carol', 'fraud', 'APPROVER'), ...ASKED, approve('carol')]],
  ['erin had approved it already', [...ASKED, approve('erin'), approve('erin')]],
  [
    'no gate counts what erin says',
    [...PEOPLE, gate('created', 'g', { approvers: BOTH.slice(1) }), request(), approve('erin')],
  ],
  ['carol had asked for it', [role('carol', 'fraud', 'APPROVER'), ...ASKED, close('rejected', 'carol')]],
  ['heidi, who showed no token', [...ASKED, approve('heidi', {}, { actor: { principal: 'heidi', method: 'none' } })]],
  ['service:metadata, who showed no token', [...ASKED, approve('', {}, { actor: SERVER })]],
  [
    'erin had no role for it: APPROVER on fraud',
    [...GATED, role('erin', 'fraud', 'CONTRIBUTOR'), request(), approve('erin', {}, { minute: 5 })],
  ],
  [
    'erin had no role for it: APPROVER on fraud',
    [...GATED, role('erin', 'fraud', 'CONTRIBUTOR'), request(), close('rejected', 'erin', {}, { minute: 5 })],
  ],
  [
    'it is of revision 1 of the gate fraud/g, which was at 2',
    [...GATED, gate('updated', 'g', { revision: 2 }), request({ gates: [met('g', 2)] }), approve('erin')],
  ],
]
