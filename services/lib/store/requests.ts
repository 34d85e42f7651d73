// Idempotency by request id: the same id with the same content returns the first response.
import { fromBinary, toBinary, toJson, type DescMessage, type MessageShape } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { defineEntity, p } from '@mikro-orm/postgresql'
import canonicalize from 'canonicalize'
import { sql } from 'kysely'
import { createHash } from 'node:crypto'
import { accessOf } from '../access/caller.ts'
import { fail, failField } from '../errors/errors.ts'
import { isUuid } from '../values/ids.ts'
import { inTransaction, type Database, type EntityManager } from './database.ts'
import { query } from './query.ts'
import { createTimeColumn, transactionTime } from './time.ts'

const AnsweredRequestSchema = defineEntity({
  name: 'AnsweredRequest',
  tableName: 'answered_request',
  properties: {
    principal: p.text().primary(),
    requestId: p.uuid().primary(),
    contentHash: p.blob(),
    answer: p.blob().nullable(),
    createTime: createTimeColumn(),
  },
  indexes: [{ name: 'answered_request_create_time_index', properties: ['createTime'] }],
})
export class AnsweredRequest extends AnsweredRequestSchema.class {}
AnsweredRequestSchema.setClass(AnsweredRequest)

export const REQUESTS_SQL: string[] = [
  `create table answered_request (
    principal text not null,
    request_id uuid not null,
    content_hash bytea not null,
    answer bytea null,
    create_time timestamptz(6) not null default now(),
    constraint answered_request_pkey primary key (principal, request_id)
  )`,
  `create index answered_request_create_time_index on answered_request (create_time)`,
]

/** A repeated request finds its first response for this long. */
const RETENTION_SECONDS = 48 * 3600

interface Once<I extends DescMessage, O extends DescMessage> {
  context: HandlerContext
  request: MessageShape<I> & { requestId: string }
  input: I
  output: O
}

/** Runs `work` in a transaction, once per request id. A repeat waits for a first request that is still running, and
 * returns its response. Without a request id, `work` always runs. Throws REQUEST_ID_REUSED or FIELD_INVALID. */
export async function answerOnce<I extends DescMessage, O extends DescMessage>(
  database: Database,
  once: Once<I, O>,
  work: (em: EntityManager) => Promise<MessageShape<O>>,
): Promise<MessageShape<O>> {
  const { context, request, output } = once
  if (request.requestId === '') return inTransaction(database, context.signal, work)
  const id = parseRequestId(request.requestId)
  const { principal } = accessOf(context).caller
  const hash = contentHash(once)
  return inTransaction(database, context.signal, async (em) => {
    const first = await query(
      em,
      sql`insert into answered_request (principal, request_id, content_hash) values (${principal}, ${id}, ${hash})
        on conflict do nothing returning 1`,
    )
    if (first.length === 0) return replay(em, principal, id, hash, output)
    const answer = await work(em)
    await em.flush()
    const bytes = Buffer.from(toBinary(output, answer))
    await query(
      em,
      sql`update answered_request set answer = ${bytes} where principal = ${principal} and request_id = ${id}`,
    )
    return answer
  })
}

/** Returns the first response, if there is one, for handlers that have side effects outside the database. */
export async function findAnswer<I extends DescMessage, O extends DescMessage>(
  em: EntityManager,
  once: Once<I, O>,
): Promise<MessageShape<O> | undefined> {
  if (once.request.requestId === '') return undefined
  const id = parseRequestId(once.request.requestId)
  const { principal } = accessOf(once.context).caller
  const known = await query(
    em,
    sql`select 1 from answered_request where principal = ${principal} and request_id = ${id}`,
  )
  return known.length === 0 ? undefined : replay(em, principal, id, contentHash(once), once.output)
}

/** Deletes responses that are older than the retention time. */
export async function deleteExpiredRequests(em: EntityManager): Promise<void> {
  await em.nativeDelete(AnsweredRequest, { createTime: { $lt: transactionTime(-RETENTION_SECONDS) } })
}

async function replay<O extends DescMessage>(
  em: EntityManager,
  principal: string,
  id: string,
  hash: Buffer,
  output: O,
): Promise<MessageShape<O>> {
  const [first] = await query<Pick<AnsweredRequest, 'contentHash' | 'answer'>>(
    em,
    sql`select content_hash "contentHash", answer from answered_request
      where principal = ${principal} and request_id = ${id}`,
  )
  if (!first?.answer || !hash.equals(first.contentHash)) {
    fail('REQUEST_ID_REUSED', 'request_id was already used with different content; use a new one', { request_id: id })
  }
  return fromBinary(output, first.answer)
}

/** Hashes canonical JSON, because clients may send the entries of a map in any order. */
function contentHash<I extends DescMessage, O extends DescMessage>(once: Once<I, O>): Buffer {
  const content = canonicalize(toJson(once.input, { ...once.request, requestId: '' })) ?? ''
  return createHash('sha256').update(once.input.typeName).update(content).digest()
}

function parseRequestId(id: string): string {
  if (!isUuid(id)) failField('request_id', 'must be a UUID')
  return id.toLowerCase()
}
