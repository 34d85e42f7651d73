// Checkpoints: signed, then cosigned by witnesses, then published. Once written, nothing of them is changed.
import type { EntityManager } from '#lib/store/database.ts'

export interface StoredCheckpoint {
  size: number
  root: Buffer
  /** With the log's signatures, and where it was published with the cosignatures too. */
  note: string
}

/** Whether enough witnesses have cosigned; NONE where no policy asks for them. */
export type Quorum = 'MET' | 'NONE' | 'UNMET'

export interface PublishedCheckpoint extends StoredCheckpoint {
  quorum: Quorum
}

type Row = { size: string; root: Buffer; note: string }
type PublishedRow = Row & { quorum: Quorum }

/** Held to the end of the transaction: one process at a time signs, whatever the number of replicas. */
export async function lockSigning(em: EntityManager): Promise<void> {
  await em.execute(`select pg_advisory_xact_lock(hashtext('modelkeep:audit:checkpoint'))`)
}

/** MET sorts before UNMET: a quorum that was reached later counts. */
const publishedOf = (size: string): string => `select c.size, c.root, p.quorum, c.note || coalesce((
    select string_agg(line, '' order by cosigner, cosigner_id) from cosignature s
    where s.size = c.size and s.key_id = c.key_id), '') as note
  from (select size, key_id, min(quorum) as quorum from publication where size = (${size}) group by size, key_id) as p
  join checkpoint c on c.size = p.size and c.key_id = p.key_id
  order by c.sign_time desc limit 1`

export async function findNewestCheckpoint(em: EntityManager): Promise<PublishedCheckpoint | undefined> {
  const rows = await em.execute<PublishedRow[]>(publishedOf('select max(size) from publication'))
  return presentPublished(rows[0])
}

/** The smallest with at least `size` entries. */
export async function findCheckpointOver(em: EntityManager, size: number): Promise<PublishedCheckpoint | undefined> {
  const rows = await em.execute<PublishedRow[]>(publishedOf('select min(size) from publication where size >= ?'), [
    size,
  ])
  return presentPublished(rows[0])
}

/** Whether it was published or not. */
export async function findNewestSigned(em: EntityManager): Promise<StoredCheckpoint | undefined> {
  const rows = await em.execute<Row[]>(
    'select size, root, note from checkpoint order by size desc, sign_time desc limit 1',
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

/** The first time, or when a quorum was reached after all. */
export async function insertPublication(
  em: EntityManager,
  { size, keyId, quorum }: { size: number; keyId: string; quorum: Quorum },
): Promise<void> {
  await em.execute(
    `insert into publication (size, key_id, quorum, publish_time) values (?, ?, ?, clock_timestamp())
      on conflict do nothing`,
    [size, keyId, quorum],
  )
}

export interface NewCosignature {
  size: number
  /** With the size, the checkpoint's. */
  keyId: string
  cosignerId: string
  cosigner: string
  line: string
}

/** The first one of each witness stays. */
export async function insertCosignature(em: EntityManager, cosignature: NewCosignature): Promise<void> {
  const { size, keyId, cosignerId, cosigner, line } = cosignature
  await em.execute(
    `insert into cosignature (size, key_id, cosigner_id, cosigner, line, cosign_time)
      values (?, ?, ?, ?, ?, clock_timestamp()) on conflict do nothing`,
    [size, keyId, cosignerId, cosigner, line],
  )
}

/** The lines that witnesses have cosigned a checkpoint with, one after the other. */
export async function readCosignatures(em: EntityManager, size: number, keyId: string): Promise<string> {
  const rows = await em.execute<{ line: string }[]>('select line from cosignature where size = ? and key_id = ?', [
    size,
    keyId,
  ])
  return rows.map(({ line }) => line).join('')
}

function present(row: Row | undefined): StoredCheckpoint | undefined {
  return row && { size: Number(row.size), root: row.root, note: row.note }
}

function presentPublished(row: PublishedRow | undefined): PublishedCheckpoint | undefined {
  return row && { ...present(row)!, quorum: row.quorum }
}
