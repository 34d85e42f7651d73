// How uploads move from state to state. Every step is one statement or one transaction, guarded by the state before;
// and from SEALING on by the owner's epoch, so that of two who believe they own an upload only the last can write.
import { v7 as uuidv7 } from 'uuid'
import type { EntityManager } from '#lib/store/database.ts'
import { ALL_GOES } from '../garbage/doomed-object.ts'
import { UNFINISHED_SQL, Upload, type SealedState, type UploadFailure, type UploadState } from './upload.ts'

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

/** Returns the new upload's id. */
export async function insertUpload(em: EntityManager, init: UploadInit): Promise<string> {
  const id = uuidv7()
  await em.execute(
    `insert into upload (id, namespace, principal, digest, size_bytes, part_size_bytes, resumable, object_key, expire_time)
      values (?, ?, ?, ?, ?, ?, ?, ?, now() + make_interval(secs => ?))`,
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
  return id
}

/** Lets no other transaction start an upload of the principal in the namespace before this one is over. */
export async function lockUploadsOf(em: EntityManager, principal: string, namespace: string): Promise<void> {
  await em.execute('select pg_advisory_xact_lock(hashtextextended(?, 0))', [`${namespace}/${principal}`])
}

/** How many resumable uploads are unfinished, counted up to `most`. */
export async function countUnfinished(
  em: EntityManager,
  principal: string,
  namespace: string,
  most: number,
): Promise<number> {
  const [row] = await em.execute<{ count: number }[]>(
    `select count(*)::int from (
      select from upload where principal = ? and namespace = ? and resumable and state in ${UNFINISHED_SQL} limit ?
    ) unfinished`,
    [principal, namespace, most],
  )
  return row!.count
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

/** The upload under a row lock; and whether its owner is at work at present. */
export async function lockUpload(em: EntityManager, id: string): Promise<LockedUpload> {
  const [row] = await em.execute<LockedUpload[]>(
    `select id, state, coalesce(lease_until > clock_timestamp(), false) busy,
        failure_reason "failureReason", failure_message "failureMessage"
      from upload where id = ? for update`,
    [id],
  )
  return row ?? { id, state: 'EXPIRED', busy: false, failureReason: null, failureMessage: null }
}

interface LockedUpload {
  id: string
  state: UploadState
  busy: boolean
  failureReason: UploadFailure | null
  failureMessage: string | null
}

export interface Ownership {
  /** Under which the owner may write. */
  epoch: number
  state: SealedState
  /** How often a part went to the store; no more will. */
  attempts: number
}

/** Takes a locked unfinished upload, and seals it where it is open. */
export async function ownUpload(em: EntityManager, id: string, expireSeconds: number): Promise<Ownership> {
  const [row] = await em.execute<{ epoch: string; state: SealedState; attempts: string }[]>(
    `update upload set state = case state when 'OPEN' then 'SEALING' else state end, epoch = epoch + 1,
        lease_until = clock_timestamp() + make_interval(secs => ?), expire_time = now() + make_interval(secs => ?)
      where id = ? and state in ${UNFINISHED_SQL} returning epoch, state, attempts`,
    [LEASE_SECONDS, expireSeconds, id],
  )
  return { epoch: Number(row!.epoch), state: row!.state, attempts: Number(row!.attempts) }
}

/** The owner's next state, and a fresh lease. False where another one owns the upload. */
export async function advanceUpload(em: EntityManager, id: string, epoch: number, state: SealedState) {
  const rows = await em.execute<unknown[]>(
    `update upload set state = ?, lease_until = clock_timestamp() + make_interval(secs => ?)
      where id = ? and epoch = ? and state in ('SEALING', 'COMPLETING', 'VERIFYING') returning 1`,
    [state, LEASE_SECONDS, id, epoch],
  )
  return rows.length > 0
}

/** False where another one owns the upload. */
export async function renewLease(em: EntityManager, id: string, epoch: number): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `update upload set lease_until = clock_timestamp() + make_interval(secs => ?)
      where id = ? and epoch = ? and state in ('SEALING', 'COMPLETING', 'VERIFYING') returning 1`,
    [LEASE_SECONDS, id, epoch],
  )
  return rows.length > 0
}

/** Lets the next call complete it without waiting for the lease to end. */
export async function releaseLease(em: EntityManager, id: string, epoch: number): Promise<void> {
  await em.execute('update upload set lease_until = null where id = ? and epoch = ?', [id, epoch])
}

/** Ends an upload whose object is the blob's now. False where another one owns it. */
export async function commitUpload(em: EntityManager, id: string, epoch: number): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `update upload set state = 'COMMITTED', lease_until = null
      where id = ? and epoch = ? and state in ('SEALING', 'COMPLETING', 'VERIFYING') returning 1`,
    [id, epoch],
  )
  return rows.length > 0
}

export interface Closing {
  state: 'COMMITTED' | 'ABORTED' | 'EXPIRED' | 'FAILED'
  /** Without it: whoever owns it. */
  epoch?: number
  failure?: { reason: UploadFailure; message: string; part?: number }
}

/** Ends an unfinished upload without a blob of its own, and dooms what it has stored. */
export async function closeUpload(em: EntityManager, id: string, closing: Closing): Promise<boolean> {
  const { state, epoch = null, failure } = closing
  const rows = await em.execute<unknown[]>(
    `with closed as (
        update upload set state = ?, lease_until = null, failure_reason = ?, failure_message = ?, failure_part = ?
          where id = ? and state in ${UNFINISHED_SQL} and (?::bigint is null or epoch = ?::bigint)
          returning object_key, store_upload_id
      )
      insert into doomed_object (object_key, store_upload_id) select object_key, store_upload_id from closed
        ${ALL_GOES} returning 1`,
    [state, failure?.reason ?? null, failure?.message ?? null, failure?.part ?? null, id, epoch, epoch],
  )
  return rows.length > 0
}
