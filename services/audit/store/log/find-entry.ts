import type { EntityManager } from '#lib/store/database.ts'
import { Entry } from '../entities.ts'
import { readOpenings, type OpenedEntry } from './openings.ts'

/** The namespaces that a caller may read; `all` includes entries without a namespace. */
export type Readable = 'all' | string[]

export type EntryKey = { index: number } | { eventId: string }

/** Returns the entry with its private values, or null where it does not exist or is not readable. */
export async function findEntry(em: EntityManager, key: EntryKey, readable: Readable): Promise<OpenedEntry | null> {
  const entry = await em.findOne(Entry, { ...key, ...inNamespaces(readable) }, { fields: ['index', 'leaf'] })
  if (!entry) return null
  const { index, leaf } = entry
  const openings = await readOpenings(em, [index])
  return { index, leaf, openings: openings.get(index) ?? [] }
}

/** Returns the index of the entry, or null where it does not exist or is not readable. */
export async function findIndex(em: EntityManager, eventId: string, readable: Readable): Promise<number | null> {
  const entry = await em.findOne(Entry, { eventId, ...inNamespaces(readable) }, { fields: ['index'] })
  return entry && entry.index
}

function inNamespaces(readable: Readable) {
  return readable === 'all' ? {} : { namespace: { $in: readable } }
}
