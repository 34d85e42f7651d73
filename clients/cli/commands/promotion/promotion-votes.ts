// The commands promotion approve, reject and withdraw.
import { randomUUID } from 'node:crypto'
import { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import type { Context } from '../../context.ts'
import { unary } from '../../connection/registry.ts'
import { printPromotion } from './promotion-text.ts'

interface ReasonOption {
  reason: string
}

export async function approvePromotion(context: Context, id: string, { reason }: ReasonOption): Promise<void> {
  const registry = context.registry()
  const request = { id, reason, requestId: randomUUID() }
  const { promotion } = await registry.metadata(PromotionService).approvePromotion(request, unary(registry))
  printPromotion(context, promotion!)
}

export async function rejectPromotion(context: Context, id: string, { reason }: ReasonOption): Promise<void> {
  const registry = context.registry()
  const request = { id, reason, requestId: randomUUID() }
  const { promotion } = await registry.metadata(PromotionService).rejectPromotion(request, unary(registry))
  printPromotion(context, promotion!)
}

export async function withdrawPromotion(
  context: Context,
  id: string,
  { reason = '' }: Partial<ReasonOption>,
): Promise<void> {
  const registry = context.registry()
  const request = { id, reason, requestId: randomUUID() }
  const { promotion } = await registry.metadata(PromotionService).withdrawPromotion(request, unary(registry))
  printPromotion(context, promotion!)
}
