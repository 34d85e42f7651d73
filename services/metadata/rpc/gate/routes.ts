import type { ServiceImpl } from '@connectrpc/connect'
import type { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import type { RegistryDeps } from '../../deps.ts'
import { getGate } from './get-gate.ts'
import { listGateRevisions } from './list-gate-revisions.ts'
import { listGates } from './list-gates.ts'
import { testGate } from './test-gate.ts'
import { createGate } from './create-gate.ts'
import { updateGate } from './update-gate.ts'
import { deleteGate } from './delete-gate.ts'

export function gateRoutes(deps: RegistryDeps): ServiceImpl<typeof GateService> {
  return {
    createGate: (request, context) => createGate(deps, request, context),
    updateGate: (request, context) => updateGate(deps, request, context),
    deleteGate: (request, context) => deleteGate(deps, request, context),
    getGate: (request, context) => getGate(deps, request, context),
    listGates: (request, context) => listGates(deps, request, context),
    listGateRevisions: (request, context) => listGateRevisions(deps, request, context),
    testGate: (request, context) => testGate(deps, request, context),
  }
}
