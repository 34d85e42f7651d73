// The stored parts of resumable uploads.
import { raw } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { Upload, UploadPart } from './upload.ts'

export type PartInit = Pick<UploadPart, 'number' | 'sizeBytes' | 'sha256' | 'etag'>

/** Counts a part that is about to be sent to the store. Returns false if the upload is no longer open. */
export function countAttempt(em: EntityManager, id: string): Promise<boolean> {
  return addAttempts(em, id, 1)
}

/** Undoes `countAttempt` for a part of which the store certainly has nothing. */
export async function undoAttempt(em: EntityManager, id: string): Promise<void> {
  await em.nativeUpdate(Upload, { id }, { attempts: raw<number>('attempts - 1') })
}

/** Added to the attempts of an upload whose parts must be read back; exceeds the number of parts of any upload. */
const DIRECT_ATTEMPTS = 1_000_000

/** Whether `distrustParts` was called for an upload. That cannot be undone. */
export function isDistrusted({ attempts }: Pick<Upload, 'attempts'>): boolean {
  return attempts >= DIRECT_ATTEMPTS
}

/** Records that clients may send parts to the store directly. This service has not hashed those, so the whole object will be
 * read back. Returns false if the upload is no longer open. */
export function distrustParts(em: EntityManager, id: string): Promise<boolean> {
  return addAttempts(em, id, DIRECT_ATTEMPTS)
}

async function addAttempts(em: EntityManager, id: string, count: number): Promise<boolean> {
  const attempts = raw<number>('attempts + ?', [count])
  return (await em.nativeUpdate(Upload, { id, state: 'OPEN' }, { attempts })) > 0
}

/** Records a stored part and extends the upload. Returns false if the upload is no longer open. */
export function recordPart(em: EntityManager, id: string, part: PartInit, seconds: number): Promise<boolean> {
  return recordParts(em, id, [part], { attempts: 0, seconds })
}

/** Records parts that a client sent to the store directly. Returns false, and records nothing, if the upload is no longer
 * open. */
export function recordDirectParts(em: EntityManager, id: string, parts: PartInit[], seconds: number): Promise<boolean> {
  return recordParts(em, id, parts, { attempts: DIRECT_ATTEMPTS, seconds })
}

/** The hot write of every part, for a set of parts: one statement extends the upload and replaces the parts. */
async function recordParts(
  em: EntityManager,
  id: string,
  parts: PartInit[],
  { attempts, seconds }: { attempts: number; seconds: number },
): Promise<boolean> {
  const rows = JSON.stringify(parts.map((part) => ({ ...part, sha256: part.sha256.toString('hex') })))
  const recorded = await query(
    em,
    sql`with open as (
        update upload set attempts = attempts + ${attempts}, expire_time = now() + make_interval(secs => ${seconds})
          where id = ${id} and state = 'OPEN' returning id
      )
      insert into upload_part (upload_id, number, size_bytes, sha256, etag)
        select open.id, number, "sizeBytes", decode(part.sha256, 'hex'), part.etag from open,
            jsonb_to_recordset(${rows}::jsonb) part(number int, "sizeBytes" bigint, sha256 text, etag text)
        on conflict (upload_id, number) do update
          set size_bytes = excluded.size_bytes, sha256 = excluded.sha256, etag = excluded.etag
        returning 1`,
  )
  return recorded.length > 0
}

export function listParts(em: EntityManager, upload: string): Promise<UploadPart[]> {
  return em.find(UploadPart, { upload }, { orderBy: { number: 'asc' } })
}

/** The numbers of the first hundred parts that are missing. */
export async function listMissingParts(em: EntityManager, id: string, partCount: number): Promise<number[]> {
  const rows = await query<{ number: number }>(
    em,
    sql`select number from generate_series(1, ${partCount}::int) number
      where not exists (select from upload_part part where part.upload_id = ${id} and part.number = number.number)
      order by number limit 100`,
  )
  return rows.map(({ number }) => number)
}
