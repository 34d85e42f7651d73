// The commands audit redact, hold and retention: erasure of private values, and legal holds against it.
import {
  HoldSchema,
  ListRetentionResponseSchema,
  PrivacyService,
  type Hold,
  type Retention,
} from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { RetentionClassSchema } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import { confirm } from '../../terminal/confirm.ts'
import type { Context } from '../../context.ts'
import { clean, jsonOf, table, time, word } from '../../terminal/output.ts'
import { unary } from '../../connection/registry.ts'

export async function redact(
  context: Context,
  eventId: string,
  options: { field?: string[]; reason: string; yes?: boolean },
): Promise<void> {
  const what = options.field?.join(', ') ?? 'all private values'
  await confirm(`permanently erase ${clean(what)} of event ${clean(eventId)}`, options.yes ?? false)
  const registry = context.registry()
  const request = { eventId, fields: options.field ?? [], reason: options.reason }
  const { redactIndex } = await registry.audit(PrivacyService).redactEvent(request, unary(registry))
  if (context.output.json) return context.output.document({ redactIndex: String(redactIndex) })
  context.output.write(`erased; recorded as entry ${redactIndex} of the log`)
}

export async function placeHold(
  context: Context,
  options: { on?: string; resource?: string; reason: string },
): Promise<void> {
  const { on, resource, reason } = options
  if ((on === undefined) === (resource === undefined))
    failUsage('hold subject is missing or ambiguous; pass either --on or --resource')
  const subject =
    on === undefined ? { case: 'resourceId' as const, value: resource! } : { case: 'namespace' as const, value: on }
  const registry = context.registry()
  const { hold } = await registry.audit(PrivacyService).placeHold({ subject, reason }, unary(registry))
  if (context.output.json) return context.output.document(jsonOf(HoldSchema, hold!))
  context.output.write(`placed hold ${hold!.id}`)
}

export async function releaseHold(context: Context, id: string, options: { reason: string }): Promise<void> {
  const registry = context.registry()
  await registry.audit(PrivacyService).releaseHold({ id, reason: options.reason }, unary(registry))
  if (context.output.json) return context.output.document({ id })
  context.output.write(`released hold ${clean(id)}`)
}

export async function listHolds(context: Context): Promise<void> {
  const registry = context.registry()
  const { holds } = await registry.audit(PrivacyService).listHolds({}, unary(registry))
  if (context.output.json) return context.output.document(holds.map((hold) => jsonOf(HoldSchema, hold)))
  if (holds.length === 0) return context.note('no holds')
  context.output.write(table(['HOLD', 'ON', 'SINCE', 'BY', 'REASON'], holds.map(rowOf)))
}

function rowOf({ id, namespace, resourceId, placeTime, placer, reason }: Hold): string[] {
  return [id, namespace || resourceId, time(placeTime), placer, reason]
}

const DAY_SECONDS = 86_400

export async function showRetention(context: Context): Promise<void> {
  const registry = context.registry()
  const answer = await registry.audit(PrivacyService).listRetention({}, unary(registry))
  if (context.output.json) return context.output.document(jsonOf(ListRetentionResponseSchema, answer))
  const row = ({ retentionClass, keep, oldestRecordTime }: Retention) => [
    word(RetentionClassSchema, retentionClass),
    keep?.seconds ? `${Number(keep.seconds) / DAY_SECONDS} days` : 'forever',
    oldestRecordTime ? time(oldestRecordTime) : 'none',
  ]
  context.output.write(table(['CLASS', 'STORED FOR', 'OLDEST VALUE'], answer.retention.map(row)))
}
