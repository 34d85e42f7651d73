// Errors of uploads.
import { fail, ModelkeepError } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import type { Backend } from '../../deps.ts'
import { Upload, type UploadFailure, type UploadState } from '../../store/uploads/upload.ts'

/** The end of an upload whose parts the store has removed. */
export const LOST_PARTS = {
  state: 'EXPIRED',
  failure: { reason: 'STORE_FORGOT', message: 'the store no longer has its parts; start a new upload' },
} as const

export function failUnknown(upload: string): never {
  fail('UPLOAD_NOT_FOUND', `upload "${upload}" not found`, { upload })
}

interface Ended {
  id: string
  state: UploadState
  failureReason?: UploadFailure | null | undefined
  failureMessage?: string | null | undefined
}

const SEALED: UploadState[] = ['SEALING', 'COMPLETING', 'VERIFYING']

export function failClosed({ id, state, failureReason, failureMessage }: Ended): never {
  const text = SEALED.includes(state) ? `is being completed (${state}) and accepts no parts` : `is closed (${state})`
  const message = failureMessage ? `upload "${id}" ${text}; ${failureMessage}` : `upload "${id}" ${text}`
  fail('UPLOAD_CLOSED', message, { upload: id, state, ...(failureReason ? { failure: failureReason } : {}) })
}

/** Reports an upload that is no longer open, by its present state. */
export async function failClosedNow({ database }: Pick<Backend, 'database'>, id: string): Promise<never> {
  const upload = await forkFor(database).findOne(Upload, { id })
  failClosed(upload ?? failUnknown(id))
}

export function busyError(upload: string): ModelkeepError {
  return new ModelkeepError('UPLOAD_BUSY', `upload "${upload}" is being completed by another call; retry`, { upload })
}

export function failBusy(upload: string): never {
  throw busyError(upload)
}

export function failMissing(missing: number[]): never {
  fail('PARTS_MISSING', `upload has missing parts: ${missing.join(', ')}`, { missing: missing.join(',') })
}

export function failTooMany(namespace: string, limit: number): never {
  const message = `namespace "${namespace}" has reached the limit of ${limit} unfinished uploads; complete or abort some`
  fail('UPLOAD_LIMIT_REACHED', message, { namespace, limit: String(limit) })
}

export function failPartSize(part: number, expected: number, actual: number): never {
  const sent = actual > expected ? 'the client sent more' : `the client sent ${actual}`
  const metadata = { expected: String(expected), actual: String(actual), part: String(part) }
  fail('SIZE_MISMATCH', `part ${part} must have ${expected} bytes; ${sent}`, metadata)
}

export function failPartDigest(part: number, expected: string, actual: string): never {
  const message = `the bytes of part ${part} have the digest ${actual}, not the announced ${expected}`
  fail('DIGEST_MISMATCH', message, { expected, actual, part: String(part) })
}
