// ProofService: its methods, and which of the whole service are asked most.
import type { ConnectRouter } from '@connectrpc/connect'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import type { FastMethod } from '#lib/byte-streams/handler.ts'
import { exportEntries } from '../log/export-entries.ts'
import { getCheckpoint } from './get-checkpoint.ts'
import { getConsistencyProof } from './get-consistency-proof.ts'
import { getInclusionProof } from './get-inclusion-proof.ts'
import { getProofBundle } from './get-proof-bundle.ts'
import type { LogDeps } from '../../deps.ts'

export const FAST_METHODS: FastMethod[] = [
  { method: IngestService.method.appendEvents },
  { method: ProofService.method.getCheckpoint },
  { method: ProofService.method.getInclusionProof },
  { method: ProofService.method.getConsistencyProof },
  { method: ProofService.method.getProofBundle },
]

export function proofRoutes(deps: LogDeps): (router: ConnectRouter) => void {
  return (router) => {
    router.service(ProofService, {
      getCheckpoint: (request, context) => getCheckpoint(deps, request, context),
      getInclusionProof: (request, context) => getInclusionProof(deps, request, context),
      getConsistencyProof: (request, context) => getConsistencyProof(deps, request, context),
      getProofBundle: (request, context) => getProofBundle(deps, request, context),
      exportEntries: (request, context) => exportEntries(deps, request, context),
    })
  }
}
