// The parts of resumable uploads, as far as they are stored.
import type { EntityManager } from '#lib/store/database.ts'
import { UploadPart, type Upload } from './upload.ts'

export interface PartInit {
  number: number
  sizeBytes: number
  sha256: Buffer
  etag: string
}

/** Counts that a part is about to go to the store. False where the upload is no longer open. */
export async function countAttempt(em: EntityManager, id: string): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `update upload set attempts = attempts + 1 where id = ? and state = 'OPEN' returning 1`,
    [id],
  )
  return rows.length > 0
}

/** Takes back what was counted, where it is certain that the store has nothing of it. */
export async function discountAttempt(em: EntityManager, id: string): Promise<void> {
  await em.execute('update upload set attempts = attempts - 1 where id = ?', [id])
}

/** More than an upload has parts. */
const FOREIGN_ATTEMPTS = 1_000_000

/** Whether `distrustParts` was said of an upload. It is never taken back. */
export function isDistrusted({ attempts }: Pick<Upload, 'attempts'>): boolean {
  return attempts >= FOREIGN_ATTEMPTS
}

/** From now on parts may come into the store past this service, whose bytes nobody has hashed: the whole is read back.
 * False where the upload is no longer open, and it is too late for that. */
export async function distrustParts(em: EntityManager, id: string): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `update upload set attempts = attempts + ? where id = ? and state = 'OPEN' returning 1`,
    [FOREIGN_ATTEMPTS, id],
  )
  return rows.length > 0
}

/** Records a stored part and moves the time of expiry. False where the upload is no longer open. */
export async function recordPart(em: EntityManager, id: string, part: PartInit, seconds: number): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `with open as (
        update upload set expire_time = now() + make_interval(secs => ?) where id = ? and state = 'OPEN' returning id
      )
      insert into upload_part (upload_id, number, size_bytes, sha256, etag) select id, ?, ?, ?, ? from open
        on conflict (upload_id, number) do update
          set size_bytes = excluded.size_bytes, sha256 = excluded.sha256, etag = excluded.etag
        returning 1`,
    [seconds, id, part.number, part.sizeBytes, part.sha256, part.etag],
  )
  return rows.length > 0
}

/** Records parts that came into the store past this service. False, and nothing done, where the upload is no longer open. */
export async function recordForeignParts(
  em: EntityManager,
  id: string,
  parts: PartInit[],
  seconds: number,
): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `with open as (
        update upload set attempts = attempts + ?, expire_time = now() + make_interval(secs => ?)
          where id = ? and state = 'OPEN' returning id
      )
      insert into upload_part (upload_id, number, size_bytes, sha256, etag)
        select open.id, number, "sizeBytes", decode(part.sha256, 'hex'), part.etag from open,
            jsonb_to_recordset(?::jsonb) part(number int, "sizeBytes" bigint, sha256 text, etag text)
        on conflict (upload_id, number) do update
          set size_bytes = excluded.size_bytes, sha256 = excluded.sha256, etag = excluded.etag
        returning 1`,
    [
      FOREIGN_ATTEMPTS,
      seconds,
      id,
      JSON.stringify(parts.map((part) => ({ ...part, sha256: part.sha256.toString('hex') }))),
    ],
  )
  return rows.length > 0
}

export function listParts(em: EntityManager, upload: string): Promise<UploadPart[]> {
  return em.find(UploadPart, { upload }, { orderBy: { number: 'asc' } })
}

/** The first hundred of the parts that have not arrived. */
export async function listMissingParts(em: EntityManager, id: string, partCount: number): Promise<number[]> {
  const rows = await em.execute<{ number: number }[]>(
    `select number from generate_series(1, ?::int) number
      where not exists (select from upload_part part where part.upload_id = ? and part.number = number.number)
      order by number limit 100`,
    [partCount, id],
  )
  return rows.map(({ number }) => number)
}

/** Opens an upload again whose parts the store does not know as they were recorded, without any part. False where
 * another one owns it. */
export async function reopenUpload(em: EntityManager, id: string, epoch: number): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `with reopened as (
        update upload set state = 'OPEN', lease_until = null
          where id = ? and epoch = ? and state in ('SEALING', 'COMPLETING') returning id
      )
      delete from upload_part using reopened where upload_id = reopened.id returning 1`,
    [id, epoch],
  )
  return rows.length > 0
}
