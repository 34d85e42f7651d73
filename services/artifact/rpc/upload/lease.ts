// Keeps the right to complete an upload for as long as the work takes.
import { forkFor, type Database } from '#lib/store/database.ts'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { renewLease } from '../../store/uploads/upload-state.ts'

const RENEW_EVERY_MS = 4_000

export interface Lease {
  /** Aborted when another call has taken over, or the service closes. */
  signal: AbortSignal
  end(): void
}

export function keepLease(database: Database, id: string, epoch: number, closing: AbortSignal): Lease {
  const lost = new AbortController()
  const stop = (): void => {
    lost.abort(
      new ModelkeepError('DEPENDENCY_UNAVAILABLE', 'the service is stopping; try again', { dependency: 'artifact' }),
    )
  }
  if (closing.aborted) stop()
  closing.addEventListener('abort', stop, { once: true })
  const timer = setInterval(() => {
    renewLease(forkFor(database), id, epoch)
      .then((kept) => {
        if (!kept)
          lost.abort(new ModelkeepError('UPLOAD_BUSY', `another call is completing upload ${id}`, { upload: id }))
      })
      // The next renewal may succeed before the lease is over; if none does, the commit is refused.
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
