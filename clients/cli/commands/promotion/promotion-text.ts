// A promotion as text.
import {
  PromotionSchema,
  PromotionState,
  PromotionStateSchema,
  type Promotion,
} from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import type { Context } from '../../context.ts'
import { jsonOf, time, word } from '../../terminal/output.ts'

export function aliasOf({ namespace, model, alias }: Promotion): string {
  return `${namespace}/${model}@${alias}`
}

/** `1 → 2`. */
export function moveOf({ fromNumber, number }: Promotion): string {
  return `${fromNumber || 'nothing'} → ${number}`
}

export function stateOf({ state }: Promotion): string {
  return state === PromotionState.PENDING_APPROVAL ? 'pending' : word(PromotionStateSchema, state)
}

/** What a change of a promotion has led to. */
export function tellPromotion(context: Context, promotion: Promotion): void {
  const { output } = context
  if (output.json) return output.document(jsonOf(PromotionSchema, promotion))
  const { state, fromNumber, number, id, expireTime } = promotion
  const name = aliasOf(promotion)
  if (state === PromotionState.APPLIED) {
    return output.write(`${name} → version ${number}${fromNumber > 0 ? ` (was version ${fromNumber})` : ''}`)
  }
  const what = `promotion of version ${number} to ${name}`
  if (state !== PromotionState.PENDING_APPROVAL) return output.write(`${stateOf(promotion)}: ${what}`)
  output.write(`waits for ${approvalsText(promotion)}: ${what}\nid     ${id}\nuntil  ${time(expireTime)}`)
}

/** Given and needed, of the gate that asks for the most: `1/2`. */
export function approvalsOf({ decisions }: Promotion): string {
  const [most] = decisions.toSorted(
    (a, b) => b.approvalsRequired - a.approvalsRequired || a.approvalsGiven - b.approvalsGiven,
  )
  return most && most.approvalsRequired > 0 ? `${most.approvalsGiven}/${most.approvalsRequired}` : ''
}

function approvalsText({ decisions }: Promotion): string {
  const missing = Math.max(0, ...decisions.map((gate) => gate.approvalsRequired - gate.approvalsGiven))
  return missing === 1 ? 'an approval' : `${missing} approvals`
}
