// Delivers events from a service's outbox to the audit log, in sequence, and retries until the log has them.
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
  /** Returns the sequence of the last committed event, and of the last one that the log has. */
  position(): Promise<{ last: number; sent: number }>
  /** Takes or extends the right to send, and returns the last sent sequence; undefined while another replica holds it. */
  claim(sender: string, seconds: number): Promise<number | undefined>
  read(after: number, limit: number): Promise<Event[]>
  markSent(sequence: number): Promise<void>
  /** Deletes a batch of old sent events; returns whether there may be more. */
  prune(): Promise<boolean>
  release(sender: string): Promise<void>
}

export interface Relay {
  /** Sends the committed events soon, together with those committed meanwhile, instead of at the next poll. */
  wake(): void
  /** If the service fails closed: waits until the log has assigned an index to every event committed so far by any
   * replica, and throws AUDIT_UNAVAILABLE after the time limit. Otherwise the same as `wake`. */
  settle(): Promise<void>
  /** Makes a last attempt to send, and stops. */
  stop(): Promise<void>
}

const BATCH = 256
/** Half the size of the largest message that the log accepts; a single event is far smaller. */
const BATCH_BYTES = 2 * 1024 * 1024
/** Interval of polls without a wake-up, for commits of other replicas and for retries. */
const POLL_MS = 500
/** Delay in which wake-ups are coalesced: one batch costs five statements and a call, whether it has one event or a
 * hundred. */
const COALESCE_MS = 50
/** Reasons after which a retry may succeed. Any other reason needs an operator: the log or the outbox has lost or changed
 * events, or an event or the service's token is invalid. */
const TRANSIENT = ['DEPENDENCY_UNAVAILABLE', 'OVERLOADED', 'CONFLICT']
/** Interval of polls for the index of an event. */
const SETTLE_POLL_MS = 20
const PRUNE_EVERY_MS = 60_000
/** A killed replica blocks the others at most this long. */
const CLAIM_SECONDS = 5

type Append = (request: AppendEventsRequest) => Promise<unknown>

export function startRelay(outbox: OutboxReader, append: Append, logger: Logger, settleSeconds = 0): Relay {
  const sender = randomUUID()
  /** The reason that was logged last, empty if there was none; undefined while delivery works. */
  let failure: string | undefined

  const attempt = async (): Promise<void> => {
    try {
      const hasClaim = await sendAll(outbox, append, sender)
      if (failure === undefined || !hasClaim) return
      logger.info('event delivery resumed')
      failure = undefined
    } catch (error) {
      const reason = rejectionOf(error)
      if (failure === (reason ?? '')) return
      failure = reason ?? ''
      if (reason === undefined)
        logger.warn({ error }, 'event delivery failed; events stay in the outbox and are retried')
      else
        logger.error({ error, reason }, 'audit alarm: the log rejects the events of this service; delivery has stopped')
    }
  }

  const pruneAll = async (stopping: AbortSignal): Promise<void> => {
    while (!stopping.aborted && (await outbox.prune()));
  }

  const polling = loop(POLL_MS, attempt)
  // Independent of sending: a service without new events still has old ones to delete.
  const pruning = repeat('delete sent events', PRUNE_EVERY_MS, pruneAll, logger)
  const sending = coalesce(COALESCE_MS, () => polling.wake())
  return {
    wake: () => sending.soon(),
    settle: async () => {
      if (settleSeconds === 0) return sending.soon()
      sending.now()
      await waitForIndex(outbox, settleSeconds)
    },
    stop: async () => {
      sending.cancel()
      await Promise.all([polling.stop(), pruning.stop()])
      await attempt()
      await outbox.release(sender).catch(() => undefined)
    },
  }
}

/** Returns false while another replica sends. */
async function sendAll(outbox: OutboxReader, append: Append, sender: string): Promise<boolean> {
  for (let isMore = true; isMore;) {
    const sent = await outbox.claim(sender, CLAIM_SECONDS)
    if (sent === undefined) return false
    const read = await outbox.read(sent, BATCH)
    const events = fitOneMessage(read)
    if (events.length === 0) return true
    await append(create(AppendEventsRequestSchema, { events }))
    await outbox.markSent(Number(events.at(-1)!.sequence))
    // Later commits wake the relay again.
    isMore = read.length === BATCH || events.length < read.length
  }
  return true
}

/** Returns the reason why the log rejects the events; undefined if the log or the database is unavailable. The client
 * reports errors about this service itself as unavailable too, with the log's error as the cause. */
function rejectionOf(error: unknown): string | undefined {
  const answer = reasonOf(error) ?? reasonOf((error as Error).cause)
  const reason = answer?.reason ?? (error instanceof ModelkeepError ? error.reason : undefined)
  return reason === undefined || TRANSIENT.includes(reason) ? undefined : reason
}

/** Runs `work` once for several calls of `soon`. */
function coalesce(afterMs: number, work: () => void) {
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
    await sleep(SETTLE_POLL_MS)
  }
}

/** Returns the leading events that fit into one message. */
function fitOneMessage(events: Event[]): Event[] {
  let bytes = 0
  const overflow = events.findIndex((event) => (bytes += toBinary(EventSchema, event).length) > BATCH_BYTES)
  return overflow > 0 ? events.slice(0, overflow) : events
}
