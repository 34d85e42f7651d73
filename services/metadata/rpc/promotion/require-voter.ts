import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { acceptsApproval } from '../../domain/governance/approvals.ts'
import { decisionsOf } from '../../domain/governance/gate-decision.ts'
import type { Promotion } from '../../store/governance/promotion.ts'

/** Returns the caller's principal. Fails unless a gate accepts their approval and they are neither the requester nor
 * the creator of the version, and have not voted yet. */
export function requireVoter(context: HandlerContext, promotion: Promotion): string {
  const { principal } = accessOf(context).caller
  const { id, requester, creator, votes } = promotion
  if (principal === requester) failVoter(id, 'REQUESTER', 'the requester cannot approve or reject their own promotion')
  if (principal === creator) failVoter(id, 'CREATOR', 'the creator of a version cannot approve or reject its promotion')
  if (votes.some((vote) => vote.principal === principal))
    failVoter(id, 'VOTED', 'you have already approved this promotion')
  if (decisionsOf(promotion).some((gate) => acceptsApproval(gate, principal))) return principal
  failVoter(id, 'NOT_ASKED', 'no gate of this promotion accepts your approval')
}

function failVoter(promotion: string, because: string, message: string): never {
  fail('APPROVAL_NOT_ALLOWED', message, { promotion, because })
}
