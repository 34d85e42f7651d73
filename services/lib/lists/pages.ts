// Keyset pagination: a page token holds the sort keys of the last row and is bound to the query.
import { createHash } from 'node:crypto'
import { failField } from '../errors/errors.ts'

export const DEFAULT_PAGE_SIZE = 50
export const MAX_PAGE_SIZE = 1000

/** A sort key of the last row of a page. */
export type PageKey = string | number

export interface Page {
  size: number
  /** The sort keys of the previous page's last row; undefined on the first page. */
  after: PageKey[] | undefined
  /** Digest of the query that the token is bound to. */
  query: string
}

/** `query` identifies rows and order, for example `['ListModels', namespace, filter]`. `types` are the types of the sort
 * keys, so that a forged token cannot put other values into the SQL. Throws FIELD_INVALID. */
export function parsePage(
  request: { pageSize: number; pageToken: string },
  query: string[],
  types: readonly ('string' | 'number')[],
): Page {
  if (request.pageSize < 0) failField('page_size', 'must not be negative')
  const size = Math.min(request.pageSize || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
  const digest = createHash('sha256').update(JSON.stringify(query)).digest('base64url').slice(0, 16)
  if (request.pageToken === '') return { size, after: undefined, query: digest }
  return { size, after: readToken(request.pageToken, digest, types), query: digest }
}

/** Splits `size + 1` fetched rows into the page and the token of the next one. */
export function cutPage<T>(rows: T[], page: Page, keys: (row: T) => PageKey[]): { rows: T[]; nextPageToken: string } {
  const last = rows.length > page.size ? rows[page.size - 1] : undefined
  if (last === undefined) return { rows, nextPageToken: '' }
  const token = Buffer.from(JSON.stringify([page.query, ...keys(last)])).toString('base64url')
  return { rows: rows.slice(0, page.size), nextPageToken: token }
}

function readToken(token: string, query: string, types: readonly ('string' | 'number')[]): PageKey[] {
  let content: unknown
  try {
    content = JSON.parse(Buffer.from(token, 'base64url').toString())
  } catch {
    failField('page_token', 'is invalid for this query; use the next_page_token of the page before')
  }
  if (!Array.isArray(content) || content[0] !== query || content.length !== types.length + 1) {
    failField('page_token', 'is invalid for this query; use the next_page_token of the page before')
  }
  const keys = content.slice(1) as unknown[]
  if (keys.some((key, index) => typeof key !== types[index])) failField('page_token', 'is invalid')
  return keys as PageKey[]
}
