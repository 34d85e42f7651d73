import { refusalEvent, type Refusal } from '#lib/server/refusals.ts'
import type { LogDeps } from '../deps.ts'
import { changeWithEvent } from './append-own-event.ts'

/** Records a call that the audit service denied or rejected as an event in its own log. */
export function recordRefusal(deps: LogDeps, refusal: Refusal): Promise<void> {
  return changeWithEvent(deps, undefined, () => Promise.resolve({ event: refusalEvent(refusal), answer: undefined }))
}
