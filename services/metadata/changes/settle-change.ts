import type { HandlerContext } from '@connectrpc/connect'
import { accessRuleOf } from '#lib/access/method-rules.ts'

/** Hands the new events to the relay. Every handler that changes something calls it after the commit. If the service
 * fails closed, it waits until the audit log has the events, unless the proto declares the RPC minor. */
export async function settleChange(
  relay: { wake(): void; settle(): Promise<void> },
  { method }: HandlerContext,
): Promise<void> {
  if (accessRuleOf(method).minor) relay.wake()
  else await relay.settle()
}
