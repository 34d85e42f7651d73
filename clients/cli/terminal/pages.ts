// Reads paginated lists up to a limit.
import { failUsage } from './cli-error.ts'
import type { Context } from '../context.ts'

const PAGE = 1_000

export interface LimitOptions {
  limit: string
  all?: boolean
}

export function readLimit({ limit, all }: LimitOptions): number {
  if (all) return Infinity
  if (!/^[1-9]\d{0,8}$/.test(limit)) failUsage(`--limit "${limit}" is not a positive whole number`)
  return Number(limit)
}

interface Page {
  pageSize: number
  pageToken: string
}

export async function takePages<T>(
  limit: number,
  fetchPage: (page: Page) => Promise<{ items: T[]; nextPageToken: string }>,
): Promise<{ items: T[]; hasMore: boolean }> {
  const items: T[] = []
  for (let pageToken = ''; ;) {
    // The page size must not change, because the token is bound to the request.
    const page = await fetchPage({ pageSize: Math.min(limit, PAGE), pageToken })
    for (const item of page.items) items.push(item)
    pageToken = page.nextPageToken
    if (pageToken === '' || items.length >= limit) {
      return { items: items.slice(0, limit), hasMore: pageToken !== '' || items.length > limit }
    }
  }
}

export function printMoreHint(context: Context, hasMore: boolean): void {
  if (hasMore) context.note('More results exist; use --limit <count> or --all.')
}
