// Lists with a caller's filter. They may be costly, so they have connections of their own and a short time limit.
import { ModelkeepError } from '../errors/errors.ts'
import { forkFor, type Database, type EntityManager } from './database.ts'
import { exceededTimeLimit } from './faults.ts'

interface Search {
  /** Undefined for an empty filter: such a list is a cheap read like others. */
  filter: object | undefined
  /** The fields that narrow such a list best, for example `index, namespace or actor`. */
  narrow: string
  signal: AbortSignal
}

/** Reads a list. Throws FILTER_TOO_EXPENSIVE when its filter exceeds the time limit. */
export async function search<T>(
  database: Database,
  { filter, narrow, signal }: Search,
  read: (em: EntityManager) => Promise<T>,
): Promise<T> {
  if (!filter) return read(forkFor(database, signal))
  try {
    return await read(forkFor(database.searches, signal))
  } catch (error) {
    if (!exceededTimeLimit(error)) throw error
    const rule = `must be narrower, because the list takes too long; use fewer conditions, or add one on ${narrow}`
    throw new ModelkeepError('FILTER_TOO_EXPENSIVE', `filter ${rule}`, { field: 'filter', narrow }, [
      { field: 'filter', rule },
    ])
  }
}
