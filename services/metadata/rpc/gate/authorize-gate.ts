import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { parseGateName } from '../../domain/governance/gate-rules.ts'
import { parseNamespace } from '../../domain/names.ts'

/** Parses the gate's name and requires the RPC's permission in its namespace. */
export function authorizeGate(request: { namespace: string; name: string }, context: HandlerContext) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  const name = parseGateName(request.name, 'name')
  accessOf(context).require(namespace)
  return { namespace, name }
}
