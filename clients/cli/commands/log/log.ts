// The command log shows who did what, when and why.
import type { JsonObject } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { LogEntrySchema, Outcome, type LogEntry } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { CliError } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { clean, jsonOf, shortenDigests, table, time } from '../../terminal/output.ts'
import { readLimit, takePages, printMoreHint, type LimitOptions } from '../../terminal/pages.ts'
import { unary } from '../../connection/registry.ts'
import { retry } from '../../connection/retry.ts'
import { findSubject, type LogSubject } from './log-subject.ts'
import { findGateQuery } from './log-gates.ts'

interface LogOptions extends LimitOptions {
  filter?: string
  follow?: boolean
}

export async function log(context: Context, text: string | undefined, options: LogOptions): Promise<void> {
  const subject =
    text === undefined
      ? subjectOfAll(context, options)
      : await findSubject(context, text, lengthOf(options), options.all ?? false)
  const filter = [subject.condition, options.filter]
    .filter(Boolean)
    .map((part) => `(${part})`)
    .join(' AND ')
  const { entries, hasMore, logSize } = await fetchEntries(context, filter, options)
  if (entries.length === 0 && !subject.exists) {
    throw await describeUnknown(context, text!)
  }
  if (options.follow) return follow(context, filter, entries, logSize)
  const { output } = context
  if (output.json) return output.document({ entries: entries.map(entryJson), hasMore, logSize: String(logSize) })
  output.write(entries.length > 0 ? table(HEAD, entries.map(entryRow)) : 'no entries')
  printMoreHint(context, hasMore)
}

async function describeUnknown(context: Context, text: string): Promise<CliError> {
  const gate = await findGateQuery(context, text)
  if (gate) return new CliError('notFound', `${text} is a gate, not a model`, { hint: `See it with: ${gate}` })
  return new CliError('notFound', `no log entries for ${text}`, {
    hint: 'List the models with: modelkeep list',
  })
}

function lengthOf({ filter = '' }: LogOptions): number {
  return Buffer.byteLength(filter)
}

const HIDDEN_TYPES = [
  'blob.committed.v1',
  'manifest.created.v1',
  'manifest.read.v1',
  'blob.read.v1',
  'blob.condemned.v1',
  'blob.revived.v1',
  'blob.collected.v1',
  'manifest.collected.v1',
]

/** Each push stores many blobs, each pull reads them, and each garbage collection removes them one by one. Their entries are
 * hidden by default. */
function subjectOfAll({ output }: Context, { all, filter }: LogOptions): LogSubject {
  const isWhole = output.json || all || filter
  const condition = isWhole ? '' : HIDDEN_TYPES.map((type) => `type != "${type}"`).join(' AND ')
  return { condition, exists: true }
}

async function fetchEntries(context: Context, filter: string, options: LogOptions) {
  const registry = context.registry()
  let logSize = 0n
  const { items, hasMore } = await takePages(readLimit(options), async (page) => {
    const answer = await registry.audit(LogService).listEntries({ filter, ...page }, unary(registry))
    // The size is that of the first page, as the log may have grown before the next.
    logSize ||= answer.logSize
    return { items: answer.entries, nextPageToken: answer.nextPageToken }
  })
  return { entries: items.toReversed(), hasMore, logSize }
}

/** Prints the present entries and then new ones, until Ctrl-C. Resumes after a lost connection. */
async function follow(context: Context, filter: string, first: LogEntry[], logSize: bigint): Promise<void> {
  const { output, signal } = context
  const print = (entries: LogEntry[]): void => {
    for (const entry of entries) {
      output.write(output.json ? JSON.stringify(entryJson(entry)) : entryRow(entry).map(clean).join('  '))
    }
  }
  print(first)
  let fromIndex = logSize
  let reached = fromIndex
  const hasProgressed = (): boolean => {
    const progressed = fromIndex > reached
    reached = fromIndex
    return progressed
  }
  await retry({ signal, hasProgressed }, async () => {
    for await (const answer of context.registry().audit(LogService).watchEntries({ fromIndex, filter }, { signal })) {
      print(answer.entries)
      if (answer.nextIndex > fromIndex) fromIndex = answer.nextIndex
    }
    throw new ConnectError('server ended the stream', Code.Unavailable)
  })
}

function entryJson(entry: LogEntry) {
  return jsonOf(LogEntrySchema, entry)
}

const HEAD = ['WHEN', 'WHO', 'WHAT', 'ON', 'WHY']

function entryRow({ event }: LogEntry): string[] {
  const what = (event?.type ?? '').replace(/\.v\d+$/, '').replaceAll('.', ' ') + detailText(event?.type, event?.details)
  return [
    time(event?.occurTime),
    event?.actor?.principal || 'nobody',
    event?.outcome === Outcome.DENIED && !/denied|failed/.test(what) ? `${what} (denied)` : what,
    shortenDigests(event?.resource?.name || event?.resource?.id || ''),
    event?.reason ?? '',
  ]
}

/** Formats the details of an event that are worth a column. */
function detailText(type = '', details: JsonObject = {}): string {
  const { suite, verdict, number, because } = details
  if (typeof suite === 'string' && typeof verdict === 'string') return ` ${suite} ${verdict.toLowerCase()}`
  if (type.startsWith('promotion.') && typeof number === 'number') {
    const why = typeof because === 'string' ? `: ${because.toLowerCase().replaceAll('_', ' ')}` : ''
    return ` → ${number}${why}`
  }
  return moveText(details)
}

/** Formats the versions of an alias move, or the names of a rename. */
function moveText({ from, to }: JsonObject): string {
  if (typeof from === 'string' && typeof to === 'string') return ` ${from} → ${to}`
  if (typeof from !== 'number' || typeof to !== 'number') return ''
  return ` ${from || 'nothing'} → ${to || 'nothing'}`
}
