export type PromotionStateName = 'PENDING_APPROVAL' | 'APPLIED' | 'REJECTED' | 'EXPIRED' | 'WITHDRAWN' | 'VOIDED'

/** The state that callers see: an overdue promotion counts as EXPIRED before the expiry job closes it. */
export function stateOf({ state, overdue }: { state: PromotionStateName; overdue: boolean }): PromotionStateName {
  return overdue ? 'EXPIRED' : state
}
