// Erases private values after the retention time of their class, unless they are under a legal hold. Leaves and proofs do
// not change, and an event in the log names each erased value.
import { Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { repeat, type Background } from '#lib/process/background.ts'
import { TOLERATED_MS } from '../domain/clock.ts'
import { RETENTION_CLASSES, type Retention, type RetentionClass } from '../domain/retention.ts'
import type { LogDeps } from '../deps.ts'
import { changeWithEvent, OWN_ACTOR, type OwnEvent } from '../changes/append-own-event.ts'
import { eraseEach, listStoredValues, type ListedValue, type ValueName } from '../store/privacy/retention-lists.ts'

/** Values erased at a time: the event that names them must fit a leaf. */
const BATCH = 400
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
    const step: { after: ValueName | undefined; count: number } = await expireBatch(
      deps,
      retentionClass,
      seconds,
      after,
    )
    after = step.after
    count += step.count
  }
  if (count > 0) deps.logger.info({ retentionClass, seconds, count }, 'private values expired')
}

/** Entries are ordered by record time, so once one is not due, no later one is. */
function expireBatch(deps: LogDeps, retentionClass: RetentionClass, seconds: number, after: ValueName) {
  return changeWithEvent(deps, undefined, async (em, log) => {
    requireClock(log.clock)
    const values = await listStoredValues(em, { retentionClass, seconds, after, now: log.clock, limit: BATCH })
    const due = values.filter(({ isDue, isHeld }) => isDue && !isHeld)
    if (due.length > 0) await eraseEach(em, due, log.size)
    const isLast = values.length < BATCH || values.some(({ isDue }) => !isDue)
    const answer = { after: isLast ? undefined : values.at(-1), count: due.length }
    return { event: due.length > 0 ? expiryEvent(retentionClass, seconds, due) : undefined, answer }
  })
}

/** Throws while the database's clock is ahead: values that were erased too early could not be restored. */
function requireClock(clock: string): void {
  const ahead = Math.round((Date.parse(clock) - Date.now()) / 1000)
  if (ahead * 1000 <= TOLERATED_MS) return
  throw new Error(`database clock is ${ahead} s ahead of this process; nothing expires until the clocks agree`)
}

function expiryEvent(retentionClass: RetentionClass, seconds: number, due: ListedValue[]): OwnEvent {
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
