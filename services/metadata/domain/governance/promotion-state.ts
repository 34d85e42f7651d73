export type PromotionWord = 'PENDING_APPROVAL' | 'APPLIED' | 'REJECTED' | 'EXPIRED' | 'WITHDRAWN' | 'VOIDED'

/** The state that callers see: an overdue promotion counts as EXPIRED before the expiry job closes it. */
export function stateOf({ state, overdue }: { state: PromotionWord; overdue: boolean }): PromotionWord {
  return overdue ? 'EXPIRED' : state
}
