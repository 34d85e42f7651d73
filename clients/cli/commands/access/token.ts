// The commands token create, list and revoke.
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt'
import { randomUUID } from 'node:crypto'
import { TokenSchema, type Token } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { jsonOf, table, time } from '../../terminal/output.ts'
import { takePages } from '../../terminal/pages.ts'
import { unary } from '../../connection/registry.ts'

const HOURS = { h: 1, d: 24 } as const
const MAX_HOURS = 365 * 24

export async function createToken(
  context: Context,
  principal: string,
  options: { expires: string; description?: string },
): Promise<void> {
  const registry = context.registry()
  const request = {
    principal,
    description: options.description ?? '',
    expireTime: timestampFromDate(new Date(Date.now() + parseDuration(options.expires))),
    requestId: randomUUID(),
  }
  const { token, secret } = await registry.metadata(IdentityService).createToken(request, unary(registry))
  if (context.output.json) return context.output.document({ token: jsonOf(TokenSchema, token!), secret })
  context.output.write(secret)
  context.note(`Token for ${principal}, valid until ${time(token!.expireTime)}. It is shown only once.`)
  context.note(`Grant ${principal} a role (reader, contributor, approver or admin) with:`)
  context.note(`  modelkeep -n <namespace> role grant ${principal} <role>`)
}

/** Parses a duration such as `12h` or `90d`, and returns milliseconds. Throws CliError. */
export function parseDuration(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,4})([hd])$/.exec(text) ?? []
  const hours = Number(count) * HOURS[(unit ?? 'h') as keyof typeof HOURS]
  if (!count || hours > MAX_HOURS) failUsage(`--expires "${text}" is invalid; write 12h or 90d, at most 365d`)
  // The server's limit is a year. A minute less allows for a difference of the clocks.
  return hours * 3_600_000 - (hours === MAX_HOURS ? 60_000 : 0)
}

export async function listTokens(context: Context, options: { principal?: string }): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const { items } = await takePages(Infinity, async (page) => {
    const request = { principal: options.principal ?? '', ...page }
    const answer = await registry.metadata(IdentityService).listTokens(request, unary(registry))
    return { items: answer.tokens, nextPageToken: answer.nextPageToken }
  })
  if (output.json) return output.document({ tokens: items.map((token) => jsonOf(TokenSchema, token)) })
  const rows = items.map((token) => [
    token.id,
    token.principal,
    stateOf(token),
    time(token.createTime),
    time(token.expireTime),
    token.description,
  ])
  output.write(table(['ID', 'PRINCIPAL', 'STATE', 'CREATED', 'EXPIRES', 'DESCRIPTION'], rows))
}

function stateOf({ revokeTime, expireTime }: Token): string {
  if (revokeTime) return 'revoked'
  return expireTime && timestampDate(expireTime) < new Date() ? 'expired' : 'active'
}

export async function revokeToken(context: Context, id: string, options: { reason?: string }): Promise<void> {
  const registry = context.registry()
  const request = { id, reason: options.reason ?? '', requestId: randomUUID() }
  const { token } = await registry.metadata(IdentityService).revokeToken(request, unary(registry))
  if (context.output.json) return context.output.document(jsonOf(TokenSchema, token!))
  context.output.write(`revoked token ${token!.id} of ${token!.principal}`)
}
