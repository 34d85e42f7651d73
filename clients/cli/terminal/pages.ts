// Lists that come in pages, up to as many items as wanted.
import { complainUsage } from './cli-error.ts'
import type { Context } from '../context.ts'

const PAGE = 1_000

export interface LimitOptions {
  limit: string
  all?: boolean
}

export function readLimit({ limit, all }: LimitOptions): number {
  if (all) return Infinity
  if (!/^[1-9]\d{0,8}$/.test(limit)) complainUsage(`--limit «${limit}» is not a whole number from 1`)
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
    // The size stays the same from page to page, for the token is bound to what was asked.
    const page = await fetchPage({ pageSize: Math.min(limit, PAGE), pageToken })
    items.push(...page.items)
    pageToken = page.nextPageToken
    if (pageToken === '' || items.length >= limit) {
      return { items: items.slice(0, limit), hasMore: pageToken !== '' || items.length > limit }
    }
  }
}

export function tellMore(context: Context, hasMore: boolean): void {
  if (hasMore) context.note('There are more: --limit <count> or --all')
}
