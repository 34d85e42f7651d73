import type { ConnectRouter } from '@connectrpc/connect'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import type { LogDeps } from '../../deps.ts'
import { exportEntries } from './export-entries.ts'
import { getCheckpoint } from './get-checkpoint.ts'
import { getConsistencyProof } from './get-consistency-proof.ts'
import { getInclusionProof } from './get-inclusion-proof.ts'
import { getProofBundle } from './get-proof-bundle.ts'

export function proofRoutes(deps: LogDeps): (router: ConnectRouter) => void {
  return (router) => {
    router.service(ProofService, {
      getCheckpoint: (request, context) => getCheckpoint(deps, request, context),
      getInclusionProof: (request, context) => getInclusionProof(deps, request, context),
      getConsistencyProof: (request, context) => getConsistencyProof(deps, request, context),
      getProofBundle: (request, context) => getProofBundle(deps, request, context),
      exportEntries: (request, context) =>
        deps.streams.pass(accessOf(context).caller.principal, () => exportEntries(deps, request, context)),
    })
  }
}
