// How uploads move from state to state. Every step is one statement or one transaction, guarded by the state before.
import { v7 as uuidv7 } from 'uuid'
import type { EntityManager } from '#lib/store/database.ts'
import { Upload, UploadPart, type UploadState } from './upload.ts'

export interface UploadInit {
  namespace: string
  principal: string
  digest: string
  sizeBytes: number
  partSizeBytes: number
  resumable: boolean
  objectKey: string
  expireSeconds: number
}

const LEASE_SECONDS = 15

/** Returns the new upload's id, or undefined where the principal has an unfinished one of the same blob. */
export async function insertUpload(em: EntityManager, init: UploadInit): Promise<string | undefined> {
  const id = uuidv7()
  const added = await em.execute<unknown[]>(
    `insert into upload (id, namespace, principal, digest, size_bytes, part_size_bytes, resumable, object_key, expire_time)
      values (?, ?, ?, ?, ?, ?, ?, ?, now() + make_interval(secs => ?)) on conflict do nothing returning 1`,
    [
      id,
      init.namespace,
      init.principal,
      init.digest,
      init.sizeBytes,
      init.partSizeBytes,
      init.resumable,
      init.objectKey,
      init.expireSeconds,
    ],
  )
  return added.length > 0 ? id : undefined
}

/** False where the upload has one already, or is closed. */
export async function setStoreUpload(em: EntityManager, id: string, storeUploadId: string): Promise<boolean> {
  const changed = await em.nativeUpdate(Upload, { id, state: 'OPEN', storeUploadId: null }, { storeUploadId })
  return changed > 0
}

/** Moves the time of expiry. False where the upload is no longer open. */
export async function extendUpload(em: EntityManager, id: string, seconds: number): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `update upload set expire_time = now() + make_interval(secs => ?) where id = ? and state = 'OPEN' returning 1`,
    [seconds, id],
  )
  return rows.length > 0
}

export interface PartInit {
  number: number
  sizeBytes: number
  sha256: Buffer
  etag: string
}

/** Records a stored part, in a transaction. False where the upload is no longer open. */
export async function recordPart(em: EntityManager, id: string, part: PartInit, seconds: number): Promise<boolean> {
  if (!(await extendUpload(em, id, seconds))) return false
  await em.execute(
    `insert into upload_part (upload_id, number, size_bytes, sha256, etag) values (?, ?, ?, ?, ?)
      on conflict (upload_id, number) do update
        set size_bytes = excluded.size_bytes, sha256 = excluded.sha256, etag = excluded.etag`,
    [id, part.number, part.sizeBytes, part.sha256, part.etag],
  )
  return true
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

/** The upload under a row lock; and whether another call is completing it at present. */
export async function lockUpload(em: EntityManager, id: string): Promise<{ state: UploadState; busy: boolean }> {
  const [row] = await em.execute<{ state: UploadState; busy: boolean }[]>(
    `select state, coalesce(state = 'COMPLETING' and lease_until > clock_timestamp(), false) busy
      from upload where id = ? for update`,
    [id],
  )
  return row ?? { state: 'EXPIRED', busy: false }
}

/** Takes a locked upload for completion. Returns the epoch under which this call may write. */
export async function leaseUpload(em: EntityManager, id: string, expireSeconds: number): Promise<number> {
  const [row] = await em.execute<{ epoch: string }[]>(
    `update upload set state = 'COMPLETING', epoch = epoch + 1,
        lease_until = clock_timestamp() + make_interval(secs => ?), expire_time = now() + make_interval(secs => ?)
      where id = ? returning epoch`,
    [LEASE_SECONDS, expireSeconds, id],
  )
  return Number(row!.epoch)
}

/** False where another call has taken the upload over. */
export async function renewLease(em: EntityManager, id: string, epoch: number): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `update upload set lease_until = clock_timestamp() + make_interval(secs => ?)
      where id = ? and epoch = ? and state = 'COMPLETING' returning 1`,
    [LEASE_SECONDS, id, epoch],
  )
  return rows.length > 0
}

/** Lets the next call complete it without waiting for the lease to end. */
export async function releaseLease(em: EntityManager, id: string, epoch: number): Promise<void> {
  await em.execute('update upload set lease_until = null where id = ? and epoch = ?', [id, epoch])
}

/** Opens an upload again whose parts the store does not know as they were recorded, without any part. */
export async function reopenUpload(em: EntityManager, id: string, epoch: number): Promise<void> {
  const rows = await em.execute<unknown[]>(
    `update upload set state = 'OPEN', lease_until = null where id = ? and epoch = ? and state = 'COMPLETING' returning 1`,
    [id, epoch],
  )
  if (rows.length > 0) await em.nativeDelete(UploadPart, { upload: id })
}

/** Ends an upload whose object is the blob's now. False where `epoch` is over. */
export async function commitUpload(em: EntityManager, id: string, epoch: number): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `update upload set state = 'COMMITTED', lease_until = null
      where id = ? and epoch = ? and state in ('OPEN', 'COMPLETING') returning 1`,
    [id, epoch],
  )
  return rows.length > 0
}

/** Ends an unfinished upload without a blob of its own, and dooms what it has stored. With `epoch`: unless a later
 * call has begun to complete it. */
export async function closeUpload(em: EntityManager, id: string, state: UploadState, epoch?: number): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `with closed as (
        update upload set state = ?, lease_until = null
          where id = ? and state in ('OPEN', 'COMPLETING') and (?::bigint is null or epoch = ?::bigint)
          returning object_key, store_upload_id
      )
      insert into doomed_object (object_key, store_upload_id) select object_key, store_upload_id from closed
        on conflict do nothing returning 1`,
    [state, id, epoch ?? null, epoch ?? null],
  )
  return rows.length > 0
}

/** Forgets an upload of the simple lane whose object is the blob's now. False where it has expired meanwhile. */
export async function finishSimpleUpload(em: EntityManager, id: string): Promise<boolean> {
  return (await em.nativeDelete(Upload, { id, state: 'OPEN' })) > 0
}

/** Forgets an upload of the simple lane that failed, and dooms what it has stored. */
export async function giveUpSimpleUpload(em: EntityManager, id: string): Promise<void> {
  await em.execute(
    `with gone as (delete from upload where id = ? and state = 'OPEN' returning object_key, store_upload_id)
      insert into doomed_object (object_key, store_upload_id) select object_key, store_upload_id from gone`,
    [id],
  )
}
