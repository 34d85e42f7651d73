// The states of uploads. Every step is one statement or one transaction, and requires the state before. From SEALING on it
// also requires the owner's epoch: of two calls that believe they own an upload, only the last can write.
import { LockMode, TransactionPropagation } from '@mikro-orm/postgresql'
import { v7 as uuidv7 } from 'uuid'
import type { EntityManager } from '#lib/store/database.ts'
import { statementTime, transactionTime } from '#lib/store/time.ts'
import { scheduleDeletion } from '../garbage/pending-deletion.ts'
import { UNFINISHED, Upload, UploadPart, type SealedState, type UploadFailure } from './upload.ts'

export interface UploadInit extends Pick<
  Upload,
  'namespace' | 'principal' | 'digest' | 'sizeBytes' | 'partSizeBytes' | 'resumable' | 'objectKey'
> {
  expireSeconds: number
}

const SEALED: SealedState[] = ['SEALING', 'COMPLETING', 'VERIFYING']
const LEASE_SECONDS = 15

/** Returns the new upload's id. */
export async function insertUpload(em: EntityManager, { expireSeconds, ...init }: UploadInit): Promise<string> {
  const id = uuidv7()
  await em.insert(Upload, { ...init, id, expireTime: transactionTime(expireSeconds) })
  return id
}

/** Sets the id of the multipart upload. Returns false if the upload has one already, or is closed. */
export async function setStoreUpload(em: EntityManager, id: string, storeUploadId: string): Promise<boolean> {
  return (await em.nativeUpdate(Upload, { id, state: 'OPEN', storeUploadId: null }, { storeUploadId })) > 0
}

/** Moves the time of expiry. Returns false if the upload is no longer open. */
export async function extendUpload(em: EntityManager, id: string, seconds: number): Promise<boolean> {
  return (await em.nativeUpdate(Upload, { id, state: 'OPEN' }, { expireTime: transactionTime(seconds) })) > 0
}

export type LockedUpload = Pick<Upload, 'id' | 'state' | 'failureReason' | 'failureMessage'> & { busy: boolean }

/** Locks the row of an upload until the transaction ends. An upload that was deleted counts as expired. */
export async function lockUpload(em: EntityManager, id: string): Promise<LockedUpload> {
  const upload = await em.findOne(
    Upload,
    { id },
    { populate: ['busy'], lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true },
  )
  return upload ?? { id, state: 'EXPIRED', busy: false, failureReason: null, failureMessage: null }
}

export interface Ownership {
  /** The owner's writes require it. */
  epoch: number
  state: SealedState
  /** How often a part was sent to the store. No part is sent from now on. */
  attempts: number
}

/** Makes the caller the owner of an unfinished upload that it has locked, and seals an open one. */
export async function acquireUpload(em: EntityManager, id: string, expireSeconds: number): Promise<Ownership> {
  const upload = await em.findOneOrFail(Upload, { id })
  const state = upload.state === 'OPEN' ? 'SEALING' : (upload.state as SealedState)
  const epoch = upload.epoch + 1
  em.assign(upload, {
    state,
    epoch,
    leaseUntil: statementTime(LEASE_SECONDS),
    expireTime: transactionTime(expireSeconds),
  })
  await em.flush()
  return { epoch, state, attempts: upload.attempts }
}

/** Records the owner's next state and renews its lease. Returns false if another call owns the upload. */
export async function advanceUpload(
  em: EntityManager,
  id: string,
  epoch: number,
  state: SealedState,
): Promise<boolean> {
  const leaseUntil = statementTime(LEASE_SECONDS)
  return (await em.nativeUpdate(Upload, owned(id, epoch), { state, leaseUntil })) > 0
}

/** Returns false if another call owns the upload. */
export async function renewLease(em: EntityManager, id: string, epoch: number): Promise<boolean> {
  return (await em.nativeUpdate(Upload, owned(id, epoch), { leaseUntil: statementTime(LEASE_SECONDS) })) > 0
}

/** Lets the next call own the upload at once. */
export async function releaseLease(em: EntityManager, id: string, epoch: number): Promise<void> {
  await em.nativeUpdate(Upload, { id, epoch }, { leaseUntil: null })
}

/** Closes an upload whose object now belongs to a blob. Returns false if another call owns the upload. */
export async function commitUpload(em: EntityManager, id: string, epoch: number): Promise<boolean> {
  return (await em.nativeUpdate(Upload, owned(id, epoch), { state: 'COMMITTED', leaseUntil: null })) > 0
}

function owned(id: string, epoch: number) {
  return { id, epoch, state: { $in: SEALED } }
}

export interface UploadEnd {
  state: 'COMMITTED' | 'ABORTED' | 'EXPIRED' | 'FAILED'
  /** The epoch of the caller. Without it, the upload is closed under any owner. */
  epoch?: number
  failure?: { reason: UploadFailure; message: string; part?: number }
}

/** Closes an unfinished upload, and schedules the deletion of its object. Returns false if it is closed already, or another
 * call owns it. Joins the transaction of `em`, if there is one. */
export function closeUpload(em: EntityManager, id: string, { state, epoch, failure }: UploadEnd): Promise<boolean> {
  return inOneTransaction(em, async (tx) => {
    const upload = await tx.findOne(
      Upload,
      { id, state: { $in: UNFINISHED }, ...(epoch === undefined ? {} : { epoch }) },
      { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true },
    )
    if (!upload) return false
    tx.assign(upload, {
      state,
      leaseUntil: null,
      failureReason: failure?.reason ?? null,
      failureMessage: failure?.message ?? null,
      failurePart: failure?.part ?? null,
    })
    await scheduleDeletion(tx, upload.objectKey, upload.storeUploadId)
    return true
  })
}

/** Opens an upload again, without any part, because the store does not have its parts as they were recorded. Returns false
 * if another call owns the upload. */
export function reopenUpload(em: EntityManager, id: string, epoch: number): Promise<boolean> {
  return inOneTransaction(em, async (tx) => {
    const sealed = { id, epoch, state: { $in: ['SEALING', 'COMPLETING'] as SealedState[] } }
    if ((await tx.nativeUpdate(Upload, sealed, { state: 'OPEN', leaseUntil: null })) === 0) return false
    await tx.nativeDelete(UploadPart, { upload: id })
    return true
  })
}

function inOneTransaction<T>(em: EntityManager, work: (tx: EntityManager) => Promise<T>): Promise<T> {
  return em.transactional(work, { propagation: TransactionPropagation.REQUIRED })
}
