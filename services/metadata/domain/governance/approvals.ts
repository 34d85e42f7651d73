// Approvals that gates require.
interface Asking {
  approvalsRequired: number
  /** Principals that may approve; empty for everybody with the permission APPROVE. */
  approvers: string[]
}

interface Vote {
  principal: string
  approved: boolean
  /** Whether the principal still has the permission APPROVE. */
  counts: boolean
}

/** Returns whether the gate requires approvals and accepts one by this principal. */
export function asks({ approvalsRequired, approvers }: Asking, principal: string): boolean {
  return approvalsRequired > 0 && (approvers.length === 0 || approvers.includes(principal))
}

/** Returns the number of approvals that count for the gate. */
export function countsFor(gate: Asking, votes: Vote[]): number {
  return votes.filter(({ principal, approved, counts }) => approved && counts && asks(gate, principal)).length
}

export function hasApprovals(gates: Asking[], votes: Vote[]): boolean {
  return gates.every((gate) => countsFor(gate, votes) >= gate.approvalsRequired)
}
