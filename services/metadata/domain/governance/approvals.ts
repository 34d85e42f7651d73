// Whose approval counts for what.
interface Asking {
  approvalsRequired: number
  /** Empty: whoever may approve at all. */
  approvers: string[]
}

interface Vote {
  principal: string
  approved: boolean
  /** Whoever may not approve any more does not count. */
  counts: boolean
}

/** Whether a gate asks for anybody's approval, and this principal's counts. */
export function asks({ approvalsRequired, approvers }: Asking, principal: string): boolean {
  return approvalsRequired > 0 && (approvers.length === 0 || approvers.includes(principal))
}

/** How many of the approvals count for a gate. */
export function countsFor(gate: Asking, votes: Vote[]): number {
  return votes.filter(({ principal, approved, counts }) => approved && counts && asks(gate, principal)).length
}

export function hasApprovals(gates: Asking[], votes: Vote[]): boolean {
  return gates.every((gate) => countsFor(gate, votes) >= gate.approvalsRequired)
}
