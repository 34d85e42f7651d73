// promotion approve, reject, withdraw.
import { randomUUID } from 'node:crypto'
import { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import type { Context } from '../../context.ts'
import { unary } from '../../connection/registry.ts'
import { tellPromotion } from './promotion-text.ts'

interface Why {
  reason: string
}

export async function approvePromotion(context: Context, id: string, { reason }: Why): Promise<void> {
  const registry = context.registry()
  const request = { id, reason, requestId: randomUUID() }
  const { promotion } = await registry.metadata(PromotionService).approvePromotion(request, unary(registry))
  tellPromotion(context, promotion!)
}

export async function rejectPromotion(context: Context, id: string, { reason }: Why): Promise<void> {
  const registry = context.registry()
  const request = { id, reason, requestId: randomUUID() }
  const { promotion } = await registry.metadata(PromotionService).rejectPromotion(request, unary(registry))
  tellPromotion(context, promotion!)
}

export async function withdrawPromotion(context: Context, id: string, { reason = '' }: Partial<Why>): Promise<void> {
  const registry = context.registry()
  const request = { id, reason, requestId: randomUUID() }
  const { promotion } = await registry.metadata(PromotionService).withdrawPromotion(request, unary(registry))
  tellPromotion(context, promotion!)
}
