// Stories with steps that the state of a promotion does not allow, each with the expected verdict.
import { SERVER, type StoryEvent } from './governed.ts'
import { apply, approve, APPROVERS, close, GATED, promoted, request, REQUESTED } from './promoted.ts'

export const BROKEN_STATE_STORIES: [string, StoryEvent[]][] = [
  ['it already existed', [...REQUESTED, request()]],
  ['it already existed', [...REQUESTED, close('withdrawn', 'carol'), request()]],
  ['it was already withdrawn', [...REQUESTED, close('withdrawn', 'carol'), approve('erin')]],
  ['it was never requested', [...GATED, approve('erin')]],
  ['it was never requested', [...GATED, apply(APPROVERS), promoted()]],
  ['it was never requested', [...GATED, close('voided', 'alice', { because: 'ALIAS_MOVED' })]],
  ['it was never requested', [...GATED, close('rejected', 'erin')]],
  ['it was never requested', [...GATED, close('expired', '', {}, { actor: SERVER })]],
  ['erin lacked the role ADMIN on fraud', [...REQUESTED, close('withdrawn', 'erin')]],
  ['it had not expired', [...REQUESTED, close('expired', '', {}, { actor: SERVER })]],
  ['only the service expires promotions', [...REQUESTED, close('expired', 'carol', {}, { minute: 12 })]],
  ['the alias had not moved', [...REQUESTED, close('voided', 'carol', { because: 'ALIAS_MOVED' })]],
  ['no gate of the alias had changed', [...REQUESTED, close('voided', 'carol', { because: 'GATE_CHANGED' })]],
]
