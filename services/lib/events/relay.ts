// Carries events from a service's outbox to the audit log: in sequence, again and again until the log has them.
import { create, toBinary } from '@bufbuild/protobuf'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppendEventsRequestSchema, type AppendEventsRequest } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { EventSchema, type Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { loop, repeat } from '../process/background.ts'
import { fail, ModelkeepError } from '../errors/errors.ts'
import { reasonOf } from '../errors/read-error.ts'
import type { Logger } from '../process/log.ts'

export interface OutboxReader {
  /** The last event committed so far, and the last that the log has. */
  position(): Promise<{ last: number; sent: number }>
  claim(sender: string, seconds: number): Promise<number | undefined>
  read(after: number, limit: number): Promise<Event[]>
  markSent(sequence: number): Promise<void>
  /** Removes some of the sent events that are old enough; true where there may be more. */
  prune(): Promise<boolean>
  release(sender: string): Promise<void>
}

export interface Relay {
  /** Call after a commit: sends soon, with what else is committed meanwhile, without waiting for the next look. */
  wake(): void
  /** Where the service is to fail closed: returns when the log has given an index to everything committed so far, by
   * whatever replica, and fails with AUDIT_UNAVAILABLE when it takes too long. Otherwise like `wake`. */
  settle(): Promise<void>
  /** Sends what is there, as far as that succeeds, and ends. */
  stop(): Promise<void>
}

const BATCH = 256
/** Half of what the log takes in one message; a single event is far smaller. */
const BATCH_BYTES = 2 * 1024 * 1024
/** The next look when nobody wakes the relay: other replicas' commits, and retries. */
const LOOK_EVERY_MS = 500
/** To send costs five statements and a call, for one event as for a hundred: who commits one after the other should not
 * have to share the database with as many of these. */
const GATHER_MS = 50
/** Answers after which the same events may be accepted. With any other reason they never are, until an operator acts: the
 * log or the outbox has lost or changed events, an event is invalid, or the service's token is. */
const TRANSIENT = ['DEPENDENCY_UNAVAILABLE', 'OVERLOADED', 'CONFLICT']
/** Between two looks whether the log has given an index. */
const SETTLE_LOOK_MS = 20
const PRUNE_EVERY_MS = 60_000
/** How long a killed replica can keep the others from sending. */
const CLAIM_SECONDS = 5

type Append = (request: AppendEventsRequest) => Promise<unknown>

export function startRelay(outbox: OutboxReader, append: Append, logger: Logger, settleSeconds = 0): Relay {
  const sender = randomUUID()
  /** What was logged last; undefined while events are sent. */
  let trouble: string | undefined

  const attempt = async (): Promise<void> => {
    try {
      const hasClaim = await sendAll(outbox, append, sender)
      if (trouble === undefined || !hasClaim) return
      logger.info('events are sent again')
      trouble = undefined
    } catch (error) {
      const reason = rejectionOf(error)
      if (trouble === (reason ?? '')) return
      trouble = reason ?? ''
      if (reason === undefined) logger.warn({ error }, 'events cannot be sent at present; they are kept and sent later')
      else logger.error({ error, reason }, 'audit alarm: the log rejects the events of this service; none is sent')
    }
  }

  const pruneAll = async (stopping: AbortSignal): Promise<void> => {
    while (!stopping.aborted && (await outbox.prune()));
  }

  const looking = loop(LOOK_EVERY_MS, attempt)
  // Apart from sending: a service without new events has old ones to remove, too.
  const pruning = repeat('removal of sent events', PRUNE_EVERY_MS, pruneAll, logger)
  const sending = gather(GATHER_MS, () => looking.wake())
  return {
    wake: () => sending.soon(),
    settle: async () => {
      if (settleSeconds === 0) return sending.soon()
      sending.now()
      await waitForIndex(outbox, settleSeconds)
    },
    stop: async () => {
      sending.cancel()
      await Promise.all([looking.stop(), pruning.stop()])
      await attempt()
      await outbox.release(sender).catch(() => undefined)
    },
  }
}

/** False while another replica sends. */
async function sendAll(outbox: OutboxReader, append: Append, sender: string): Promise<boolean> {
  for (let isMore = true; isMore;) {
    const sent = await outbox.claim(sender, CLAIM_SECONDS)
    if (sent === undefined) return false
    const read = await outbox.read(sent, BATCH)
    const events = fitOneMessage(read)
    if (events.length === 0) return true
    await append(create(AppendEventsRequestSchema, { events }))
    await outbox.markSent(Number(events.at(-1)!.sequence))
    // Whoever commits more wakes the relay.
    isMore = read.length === BATCH || events.length < read.length
  }
  return true
}

/** Why the log rejects the events; undefined where it, or the database, is not available. The client of the log reports
 * as not available, too, what the log answers about this service itself: the answer is the cause. */
function rejectionOf(error: unknown): string | undefined {
  const answer = reasonOf(error) ?? reasonOf((error as Error).cause)
  const reason = answer?.reason ?? (error instanceof ModelkeepError ? error.reason : undefined)
  return reason === undefined || TRANSIENT.includes(reason) ? undefined : reason
}

/** Does once what is asked for `soon` several times. */
function gather(afterMs: number, work: () => void) {
  let timer: NodeJS.Timeout | undefined
  const cancel = (): void => {
    clearTimeout(timer)
    timer = undefined
  }
  const now = (): void => {
    cancel()
    work()
  }
  return { cancel, now, soon: () => void (timer ??= setTimeout(now, afterMs)) }
}

async function waitForIndex(outbox: OutboxReader, seconds: number): Promise<void> {
  const until = performance.now() + seconds * 1000
  const { last } = await outbox.position()
  while ((await outbox.position()).sent < last) {
    if (performance.now() > until) {
      const message =
        `audit log assigned no index to the event of this change within ${seconds} s, although the change is committed; ` +
        'retry with the same request_id'
      fail('AUDIT_UNAVAILABLE', message, { seconds: String(seconds) })
    }
    await sleep(SETTLE_LOOK_MS)
  }
}

/** As many of the events, from the first on, as one message holds. */
function fitOneMessage(events: Event[]): Event[] {
  let bytes = 0
  const tooMuch = events.findIndex((event) => (bytes += toBinary(EventSchema, event).length) > BATCH_BYTES)
  return tooMuch > 0 ? events.slice(0, tooMuch) : events
}
