// Erases private values whose time is over, as their class has it, unless a legal hold keeps them. Leaves and proofs stay
// as they are, and the log tells of it.
import { Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { repeat, type Background } from '#lib/process/background.ts'
import { TOLERATED_MS } from '../domain/clock.ts'
import { RETENTION_CLASSES, type Retention, type RetentionClass } from '../domain/retention.ts'
import type { LogDeps } from '../deps.ts'
import { changeWithEvent, OWN_ACTOR, type OwnEvent } from '../changes/own-events.ts'
import { eraseEach, readKept, type KeptValue, type ValueName } from '../store/retention.ts'

/** An event names each, and must fit a leaf. */
const AT_ONCE = 400
const EVERY_MS = 3_600_000

export function startRetention(deps: LogDeps, retention: Retention, everyMs = EVERY_MS): Background {
  const expireAll = async (stopping: AbortSignal): Promise<void> => {
    for (const retentionClass of RETENTION_CLASSES) {
      const seconds = retention[retentionClass]
      if (seconds > 0) await expireClass(deps, retentionClass, seconds, stopping)
    }
  }
  return repeat('retention', everyMs, expireAll, deps.logger)
}

async function expireClass(
  deps: LogDeps,
  retentionClass: RetentionClass,
  seconds: number,
  stopping: AbortSignal,
): Promise<void> {
  let after: ValueName | undefined = { index: -1, field: '' }
  let count = 0
  while (after && !stopping.aborted) {
    const step: { after: ValueName | undefined; count: number } = await expireSome(deps, retentionClass, seconds, after)
    after = step.after
    count += step.count
  }
  if (count > 0) deps.logger.info({ retentionClass, seconds, count }, 'private values expired')
}

/** The log is in the order of its times: behind one that is not due, none is. */
function expireSome(deps: LogDeps, retentionClass: RetentionClass, seconds: number, after: ValueName) {
  return changeWithEvent(deps, undefined, async (em, log) => {
    requireClock(log.clock)
    const kept = await readKept(em, { retentionClass, seconds, after, now: log.clock, limit: AT_ONCE })
    const due = kept.filter(({ isDue, isHeld }) => isDue && !isHeld)
    if (due.length > 0) await eraseEach(em, due, log.size)
    const isLast = kept.length < AT_ONCE || kept.some(({ isDue }) => !isDue)
    const answer = { after: isLast ? undefined : kept.at(-1), count: due.length }
    return { event: due.length > 0 ? tell(retentionClass, seconds, due) : undefined, answer }
  })
}

/** What a clock that jumped has erased does not come back. */
function requireClock(clock: string): void {
  const ahead = Math.round((Date.parse(clock) - Date.now()) / 1000)
  if (ahead * 1000 <= TOLERATED_MS) return
  throw new Error(`database clock is ${ahead} s ahead of this process; nothing expires until the clocks agree`)
}

function tell(retentionClass: RetentionClass, seconds: number, due: KeptValue[]): OwnEvent {
  const values: Record<string, string[]> = {}
  for (const { index, field } of due) (values[String(index)] ??= []).push(field)
  return {
    type: 'values.expired.v1',
    actor: OWN_ACTOR,
    resource: { type: 'retention', id: retentionClass, namespace: '', name: retentionClass },
    outcome: Outcome.SUCCEEDED,
    details: { retentionClass: `RETENTION_CLASS_${retentionClass}`, seconds: String(seconds), values },
  }
}
