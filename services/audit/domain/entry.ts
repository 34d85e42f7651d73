import { failField } from '#lib/errors/errors.ts'

/** Parses a position in the log. */
export function parseIndex(index: bigint, field: string): number {
  if (index < 0n) failField(field, 'must not be negative')
  if (index > BigInt(Number.MAX_SAFE_INTEGER)) failField(field, `must not exceed ${Number.MAX_SAFE_INTEGER}`)
  return Number(index)
}

export function parseOrder(orderBy: string): 'asc' | 'desc' {
  const order = orderBy.trim().replace(/\s+/g, ' ')
  if (order === '' || order === 'index desc') return 'desc'
  if (order === 'index' || order === 'index asc') return 'asc'
  failField('order_by', 'must be "index" or "index desc"')
}
