// A denial at the audit service itself is kept in its own log.
import { Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import type { Denial } from '#lib/gate.ts'
import type { LogDeps } from './log.ts'
import { changeWithEvent, type OwnEvent } from './own-events.ts'

export function recordDenial(deps: LogDeps, denial: Denial): Promise<void> {
  return changeWithEvent(deps, undefined, () => Promise.resolve({ event: denialEvent(denial), answer: undefined }))
}

function denialEvent({ caller, method, permission, namespace, requestId }: Denial): OwnEvent {
  return {
    type: 'access.denied.v1',
    actor: { principal: caller.principal, method: caller.method, credentialId: caller.credentialId },
    resource: { type: 'rpc', id: method, namespace, name: method },
    outcome: Outcome.DENIED,
    requestId,
    details: { permission },
  }
}
