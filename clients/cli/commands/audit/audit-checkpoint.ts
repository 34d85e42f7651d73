// The command audit checkpoint prints the newest checkpoint, verified or with a consistency proof if requested.
import { toJson } from '@bufbuild/protobuf'
import { CheckpointSchema, ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { formatConsistency } from '../../../verifier/consistency-file.ts'
import { openCheckpoint, requireQuorum } from '../../../verifier/open-checkpoint.ts'
import { readTrust, type TrustOptions } from '../../../verifier/read-trust.ts'
import { readSize, withSubject } from '../../../verifier/verify-file.ts'
import type { Context } from '../../context.ts'
import { unary } from '../../connection/registry.ts'
import { waitForCheckpoint } from './published.ts'

export async function showCheckpoint(context: Context, options: TrustOptions & { since?: string }): Promise<void> {
  const registry = context.registry()
  const trust = options.key || options.policy ? await readTrust(options) : undefined
  const checkpoint = await waitForCheckpoint(registry, 0n)
  if (trust) {
    await withSubject('the log', async () => {
      openCheckpoint(checkpoint.note, trust)
      requireQuorum(checkpoint.note, trust)
    })
  }
  if (context.output.json) return context.output.document(toJson(CheckpointSchema, checkpoint))
  if (options.since === undefined) return void process.stdout.write(checkpoint.note)
  const oldSize = await readSize(options.since)
  const isProvable = oldSize > 0n && oldSize <= checkpoint.size
  const request = { oldSize, newSize: checkpoint.size }
  const proof = isProvable
    ? await registry.audit(ProofService).getConsistencyProof(request, unary(registry))
    : undefined
  const hashes = (proof?.hashes ?? []).map((hash) => Buffer.from(hash))
  process.stdout.write(formatConsistency({ oldSize, hashes, checkpoint: checkpoint.note }))
}
