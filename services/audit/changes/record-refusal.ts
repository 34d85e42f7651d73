// A refusal at the audit service itself is kept in its own log.
import { refusalEvent, type Refusal } from '#lib/server/refusals.ts'
import type { LogDeps } from '../deps.ts'
import { changeWithEvent } from './own-events.ts'

export function recordRefusal(deps: LogDeps, refusal: Refusal): Promise<void> {
  return changeWithEvent(deps, undefined, () => Promise.resolve({ event: refusalEvent(refusal), answer: undefined }))
}
