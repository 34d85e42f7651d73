// Formats promotions.
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

/** Formats the move of a promotion, such as `1 → 2`. */
export function moveOf({ fromNumber, number }: Promotion): string {
  return `${fromNumber || 'nothing'} → ${number}`
}

export function stateOf({ state }: Promotion): string {
  return state === PromotionState.PENDING_APPROVAL ? 'pending' : word(PromotionStateSchema, state)
}

/** Prints the state of a promotion after a change. */
export function printPromotion(context: Context, promotion: Promotion): void {
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

/** Formats the given and required approvals of the strictest gate, such as `1/2`. */
export function approvalsOf({ decisions }: Promotion): string {
  const [most] = decisions.toSorted(
    (a, b) => b.approvalsRequired - a.approvalsRequired || a.approvalsGiven - b.approvalsGiven,
  )
  return most && most.approvalsRequired > 0 ? `${most.approvalsGiven}/${most.approvalsRequired}` : ''
}

function approvalsText({ decisions }: Promotion): string {
  const missing = decisions.reduce((most, gate) => Math.max(most, gate.approvalsRequired - gate.approvalsGiven), 0)
  return missing === 1 ? 'an approval' : `${missing} approvals`
}
