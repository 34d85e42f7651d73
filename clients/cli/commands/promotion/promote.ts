// The command promote, or promotion request, requests to move an alias, with the version that it points at now.
import { randomUUID } from 'node:crypto'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import type { Context } from '../../context.ts'
import { versionName } from '../../terminal/output.ts'
import { unary } from '../../connection/registry.ts'
import { currentNumber, explainMoved } from '../alias/alias-move.ts'
import { printPromotion } from './promotion-text.ts'
import { resolveRef } from '../alias/resolve.ts'

export async function requestPromotion(
  context: Context,
  text: string,
  alias: string,
  { reason }: { reason: string },
): Promise<void> {
  const version = await resolveRef(context, text)
  if (!text.endsWith(`:${version.number}`)) context.note(`${text} is ${versionName(version)}`)
  const name = { namespace: version.namespace, model: version.model, alias }
  const expectedNumber = await currentNumber(context, name)
  const registry = context.registry()
  const ref = { ref: { case: 'id' as const, value: version.id } }
  const request = { version: ref, alias, expectedNumber, reason, requestId: randomUUID() }
  try {
    const { promotion } = await registry.metadata(PromotionService).requestPromotion(request, unary(registry))
    printPromotion(context, promotion!)
    if (promotion!.state !== PromotionState.PENDING_APPROVAL) return
    context.note(`Another person approves it with: modelkeep promotion approve ${promotion!.id} --reason "…"`)
  } catch (error) {
    throw await explainMoved(context, name, error)
  }
}
