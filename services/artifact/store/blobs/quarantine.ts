// Stored bytes that are wrong. No caller receives them until right ones take their place.
import { LockMode, raw } from '@mikro-orm/postgresql'
import type { Logger } from '#lib/process/log.ts'
import { forkFor, inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { transactionTime } from '#lib/store/time.ts'
import { blobResource, bySystem } from '../events.ts'
import { Blob, NamespaceBlob } from './blob.ts'

/** The defect of stored bytes; undefined if they are intact. */
export type Problem = 'missing' | 'size' | 'content' | undefined

export type SeenBytes = Pick<Blob, 'digest' | 'objectKey' | 'verifyTime'>

/** Makes a verification of the bytes due, because a caller found them wrong. Each report changes `verifyTime`, so that the
 * verdict on an earlier report does not cover a later one. */
export async function reportWrongBytes(
  database: Database,
  { digest, objectKey }: Omit<SeenBytes, 'verifyTime'>,
): Promise<void> {
  const verifyTime = raw<string>(
    `case when verify_time < '1971-01-01' then verify_time + interval '1 microsecond' else 'epoch' end`,
  )
  await forkFor(database).nativeUpdate(Blob, { digest, objectKey }, { verifyTime })
}

/** Quarantines wrong bytes, and ends the quarantine of right ones. Has no effect if other bytes took their place
 * meanwhile. */
export async function recordVerdict(
  { database, logger }: { database: Database; logger: Logger },
  { digest, objectKey, verifyTime }: SeenBytes,
  problem: Problem,
): Promise<void> {
  if (problem) logger.error({ digest, objectKey, problem }, 'stored bytes are wrong')
  const state = problem ? 'QUARANTINED' : 'PRESENT'
  await inTransaction(database, undefined, async (em) => {
    const blob = await em.findOne(Blob, { digest, objectKey }, { lockMode: LockMode.PESSIMISTIC_WRITE })
    if (!blob) return
    blob.verifyingUntil = null
    // Wrong bytes that were reported during the verification stay due.
    if (blob.verifyTime === verifyTime) blob.verifyTime = transactionTime()
    if (blob.state === state) return
    blob.state = state
    await emitToHolders(em, digest, problem ? 'blob.quarantined.v1' : 'blob.repaired.v1', problem)
  })
}

/** Emits an event for each namespace that has the blob; no event names another namespace. */
export async function emitToHolders(
  em: EntityManager,
  digest: string,
  type: 'blob.quarantined.v1' | 'blob.repaired.v1',
  problem?: Problem,
): Promise<void> {
  const holders = await em.find(
    NamespaceBlob,
    { blob: digest },
    { fields: ['namespace'], orderBy: { namespace: 'asc' } },
  )
  for (const { namespace } of holders) {
    const resource = blobResource(namespace, digest)
    bySystem(em, { type, resource, ...(problem ? { details: { problem } } : {}) })
  }
}
