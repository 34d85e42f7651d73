// log: who did what, when and why.
import type { JsonObject } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { LogEntrySchema, Outcome, type LogEntry } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { reasonOf } from '#lib/fault.ts'
import { Complaint } from '../complaint.ts'
import type { Context } from '../context.ts'
import { clean, jsonOf, table, time } from '../output.ts'
import { readLimit, takePages, tellMore, type LimitOptions } from '../pages.ts'
import { modelRef, parseRef, type Ref } from '../refs.ts'
import { unary } from '../registry.ts'
import { retry } from '../retry.ts'
import { resolveRef } from './resolve.ts'

interface LogOptions extends LimitOptions {
  filter?: string
  follow?: boolean
}

export async function log(context: Context, text: string | undefined, options: LogOptions): Promise<void> {
  const about = text === undefined ? { condition: '', exists: true } : await conditionOf(context, text)
  const filter = [about.condition, options.filter]
    .filter(Boolean)
    .map((part) => `(${part})`)
    .join(' AND ')
  const { entries, hasMore, logSize } = await fetchEntries(context, filter, options)
  if (entries.length === 0 && !about.exists) {
    throw new Complaint('notFound', `the log knows nothing of ${text}`, {
      hint: 'See what there is with: modelkeep list',
    })
  }
  if (options.follow) return follow(context, filter, entries, logSize)
  const { output } = context
  if (output.json) return output.document({ entries: entries.map(entryJson), hasMore, logSize: String(logSize) })
  output.write(entries.length > 0 ? table(HEAD, entries.map(entryRow)) : 'nothing happened')
  tellMore(context, hasMore)
}

async function fetchEntries(context: Context, filter: string, options: LogOptions) {
  const registry = context.registry()
  let logSize = 0n
  const { items, hasMore } = await takePages(readLimit(options), async (page) => {
    const answer = await registry.audit(LogService).listEntries({ filter, ...page }, unary(registry))
    // Of the first page: later ones may come from a log that has grown.
    logSize ||= answer.logSize
    return { items: answer.entries, nextPageToken: answer.nextPageToken }
  })
  return { entries: items.toReversed(), hasMore, logSize }
}

interface About {
  condition: string
  /** False when there is no such thing now; the log may know of it all the same. */
  exists: boolean
}

async function conditionOf(context: Context, text: string): Promise<About> {
  const ref = parseRef(text, context.namespace)
  if ('id' in ref) return { condition: `resource.id = "${ref.id}"`, exists: false }
  const { name, exists } = await canonicalName(context, ref)
  const { namespace, selector } = ref
  const full = `${namespace}/${name}`
  if (!selector) {
    const names = `resource.name = "${full}" OR resource.name : "${full}:" OR resource.name : "${full}@"`
    return { condition: `namespace = "${namespace}" AND (${names})`, exists }
  }
  if (selector.case === 'alias' && selector.value !== 'latest') {
    return { condition: `namespace = "${namespace}" AND resource.name = "${full}@${selector.value}"`, exists: false }
  }
  if (selector.case === 'number') {
    return { condition: `namespace = "${namespace}" AND resource.name = "${full}:${selector.value}"`, exists: false }
  }
  const { number } = await resolveRef(context, text)
  return { condition: `namespace = "${namespace}" AND resource.name = "${full}:${number}"`, exists: true }
}

/** The name as the model has it now; the one given when the model is gone. */
async function canonicalName(context: Context, { namespace, model }: Exclude<Ref, { id: string }>) {
  const registry = context.registry()
  try {
    const request = { model: modelRef(namespace, model) }
    const found = await registry.metadata(ModelService).getModel(request, unary(registry))
    return { name: found.model!.name, exists: true }
  } catch (error) {
    if (reasonOf(error)?.reason !== 'MODEL_NOT_FOUND') throw error
    return { name: model, exists: false }
  }
}

/** Prints what there is and then what comes, until Ctrl-C; a lost connection is taken up where it broke. */
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
    throw new ConnectError('the server ended the stream', Code.Unavailable)
  })
}

function entryJson(entry: LogEntry) {
  return jsonOf(LogEntrySchema, entry)
}

const HEAD = ['WHEN', 'WHO', 'WHAT', 'ON', 'WHY']

function entryRow({ event }: LogEntry): string[] {
  const what = (event?.type ?? '').replace(/\.v\d+$/, '').replaceAll('.', ' ') + moveText(event?.details)
  return [
    time(event?.occurTime),
    event?.actor?.principal || 'nobody',
    event?.outcome === Outcome.DENIED && !what.includes('denied') ? `${what} (denied)` : what,
    event?.resource?.name || event?.resource?.id || '',
    event?.reason ?? '',
  ]
}

/** From where to where an alias moved. */
function moveText({ from, to }: JsonObject = {}): string {
  if (typeof from !== 'number' || typeof to !== 'number') return ''
  return ` ${from || 'nothing'} → ${to || 'nothing'}`
}
