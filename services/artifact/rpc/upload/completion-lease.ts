// The lease of the call that completes an upload, renewed for as long as the work takes.
import { forkFor, type Database } from '#lib/store/database.ts'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { renewLease } from '../../store/uploads/upload-state.ts'
import { busyError } from './upload-errors.ts'

const RENEW_EVERY_MS = 4_000

export interface CompletionLease {
  /** Aborted when another call has taken the upload over, or when the service stops. */
  signal: AbortSignal
  end(): void
}

export function holdCompletionLease(
  database: Database,
  id: string,
  epoch: number,
  closing: AbortSignal,
): CompletionLease {
  const lost = new AbortController()
  const stop = (): void => {
    lost.abort(
      new ModelkeepError('DEPENDENCY_UNAVAILABLE', 'the service is stopping; retry', { dependency: 'artifact' }),
    )
  }
  if (closing.aborted) stop()
  closing.addEventListener('abort', stop, { once: true })
  const timer = setInterval(() => {
    renewLease(forkFor(database), id, epoch)
      .then((isRenewed) => {
        if (!isRenewed) lost.abort(busyError(id))
      })
      // The next renewal may succeed before the lease expires; if none does, the commit is rejected.
      .catch(() => undefined)
  }, RENEW_EVERY_MS)
  return {
    signal: lost.signal,
    end: () => {
      clearInterval(timer)
      closing.removeEventListener('abort', stop)
    },
  }
}
