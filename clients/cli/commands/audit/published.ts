// Waits for the signer, which publishes checkpoints with a short delay.
import { setTimeout as sleep } from 'node:timers/promises'
import { ProofService, type Checkpoint } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { unary, type Registry } from '../../connection/registry.ts'

/** The signer publishes a checkpoint for new entries within two seconds. */
const WAIT_MS = 6_000
const POLL_MS = 250

/** Waits until a checkpoint covers `size` entries, and returns the newest. */
export async function waitForCheckpoint(registry: Registry, size: bigint): Promise<Checkpoint> {
  const proofs = registry.audit(ProofService)
  await whenPublished(() => proofs.getCheckpoint({ minSize: size }, unary(registry)))
  return (await proofs.getCheckpoint({}, unary(registry))).checkpoint!
}

/** Retries `work` until the checkpoint that it needs is published. */
export async function whenPublished<T>(work: () => Promise<T>): Promise<T> {
  const until = performance.now() + WAIT_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (reasonOf(error)?.reason !== 'CHECKPOINT_NOT_FOUND' || performance.now() > until) throw error
      await sleep(POLL_MS)
    }
  }
}
