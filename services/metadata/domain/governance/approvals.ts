// Approvals that gates require.
interface ApprovalRule {
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
export function acceptsApproval({ approvalsRequired, approvers }: ApprovalRule, principal: string): boolean {
  return approvalsRequired > 0 && (approvers.length === 0 || approvers.includes(principal))
}

/** Returns the number of approvals that count for the gate. */
export function countApprovals(gate: ApprovalRule, votes: Vote[]): number {
  return votes.filter(({ principal, approved, counts }) => approved && counts && acceptsApproval(gate, principal))
    .length
}

export function hasApprovals(gates: ApprovalRule[], votes: Vote[]): boolean {
  return gates.every((gate) => countApprovals(gate, votes) >= gate.approvalsRequired)
}
