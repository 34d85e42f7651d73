// Signed checkpoints, their cosignatures and their publications. None of them changes once it is stored.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { Checkpoint, Cosignature, Publication } from '../entities.ts'
import { query } from '#lib/store/query.ts'

/** A signed checkpoint. Its `note` has the signatures of the log, and if it is published also the cosignatures. */
export type StoredCheckpoint = Pick<Checkpoint, 'size' | 'root' | 'note'>

/** The state of the quorum: whether enough witnesses have cosigned; NONE without a policy. */
export type Quorum = Publication['quorum']

/** Holds a lock until the end of the transaction, so that one process at a time signs. */
export async function lockSigning(em: EntityManager): Promise<void> {
  await query(em, sql`select pg_advisory_xact_lock(hashtext('modelkeep:audit:checkpoint'))`)
}

/** Returns the largest signed checkpoint, published or not. */
export async function findNewestSigned(em: EntityManager): Promise<StoredCheckpoint | undefined> {
  const [newest] = await em.find(Checkpoint, {}, { orderBy: NEWEST_FIRST, limit: 1 })
  return newest
}

export async function findSigned(em: EntityManager, size: number, keyId: string): Promise<StoredCheckpoint | null> {
  return em.findOne(Checkpoint, { size, keyId })
}

/** Returns when the checkpoint of `size` entries was signed last. */
export async function findSignTime(em: EntityManager, size: number): Promise<string | undefined> {
  const checkpoint = await em.findOne(Checkpoint, { size }, { orderBy: NEWEST_FIRST })
  return checkpoint?.signTime
}

const NEWEST_FIRST = { size: 'desc', signTime: 'desc' } as const

export async function insertCheckpoint(em: EntityManager, checkpoint: StoredCheckpoint, keyId: string): Promise<void> {
  em.create(Checkpoint, { ...checkpoint, keyId })
  await em.flush()
}

/** Does nothing where the checkpoint was published with this quorum before. */
export async function insertPublication(
  em: EntityManager,
  publication: Pick<Publication, 'size' | 'keyId' | 'quorum'>,
): Promise<void> {
  await em.upsert(Publication, publication, { onConflictAction: 'ignore' })
}

/** Does nothing where the witness has cosigned this checkpoint before. */
export async function insertCosignature(
  em: EntityManager,
  cosignature: Pick<Cosignature, 'size' | 'keyId' | 'cosignerId' | 'cosigner' | 'line'>,
): Promise<void> {
  await em.upsert(Cosignature, cosignature, { onConflictAction: 'ignore' })
}

/** Returns the lines of all cosignatures of a checkpoint, one after the other. */
export async function readCosignatures(em: EntityManager, size: number, keyId: string): Promise<string> {
  const cosignatures = await em.find(Cosignature, { size, keyId })
  return cosignatures.map(({ line }) => line).join('')
}
