import type { HandlerContext } from '@connectrpc/connect'
import type { GetGateRequest } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { forkFor } from '#lib/store/database.ts'
import { findGate } from '../../store/governance/find-gates.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentGate } from './present-gate.ts'
import { authorizeGate } from './authorize-gate.ts'
import { failNoGate } from '../../changes/checks.ts'

export async function getGate({ database }: RegistryDeps, request: GetGateRequest, context: HandlerContext) {
  const { namespace, name } = authorizeGate(request, context)
  const gate = await findGate(forkFor(database, context.signal), namespace, name)
  return { gate: presentGate(gate ?? failNoGate(`${namespace}/${name}`)) }
}
