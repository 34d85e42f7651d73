// Published checkpoints: once written, never changed.
import type { EntityManager } from '#lib/store/database.ts'

export interface StoredCheckpoint {
  size: number
  root: Buffer
  note: string
}

type Row = { size: string; root: Buffer; note: string }

/** Held to the end of the transaction: one process at a time signs, whatever the number of replicas. */
export async function lockSigning(em: EntityManager): Promise<void> {
  await em.execute(`select pg_advisory_xact_lock(hashtext('modelkeep:audit:checkpoint'))`)
}

export async function findNewestCheckpoint(em: EntityManager): Promise<StoredCheckpoint | undefined> {
  const rows = await em.execute<Row[]>(
    'select size, root, note from checkpoint order by size desc, sign_time desc limit 1',
  )
  return present(rows[0])
}

/** The smallest with at least `size` entries. */
export async function findCheckpointOver(em: EntityManager, size: number): Promise<StoredCheckpoint | undefined> {
  const rows = await em.execute<Row[]>(
    'select size, root, note from checkpoint where size >= ? order by size, sign_time desc limit 1',
    [size],
  )
  return present(rows[0])
}

export async function findSigned(
  em: EntityManager,
  size: number,
  keyId: string,
): Promise<StoredCheckpoint | undefined> {
  const rows = await em.execute<Row[]>('select size, root, note from checkpoint where size = ? and key_id = ?', [
    size,
    keyId,
  ])
  return present(rows[0])
}

export async function insertCheckpoint(
  em: EntityManager,
  { size, root, note }: StoredCheckpoint,
  keyId: string,
): Promise<void> {
  await em.execute(
    'insert into checkpoint (size, key_id, root, note, sign_time) values (?, ?, ?, ?, clock_timestamp())',
    [size, keyId, root, note],
  )
}

function present(row: Row | undefined): StoredCheckpoint | undefined {
  return row && { size: Number(row.size), root: row.root, note: row.note }
}
