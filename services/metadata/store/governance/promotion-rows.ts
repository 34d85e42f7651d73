// Promotions and votes. A change of a promotion requires the lock of the model, or the exclusive lock of the namespace.
import { fromJson, toJson, type JsonValue } from '@bufbuild/protobuf'
import { sql } from 'kysely'
import { GateDecisionSchema, type GateDecision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { truncatePage, withinBudget } from '../budget.ts'
import type { PromotionStateName } from '../../domain/governance/promotion-state.ts'

interface StoredPromotion {
  id: string
  namespace: string
  model_id: string
  model: string
  alias: string
  number: number
  version_id: string
  digest: string
  /** The creator of the version. */
  creator: string
  from_number: number
  from_digest: string
  state: PromotionStateName
  decisions: JsonValue[]
  requester: string
  reason: string
  request_time: string
  expire_time: string
  closer: string
  close_reason: string
  close_time: string | null
  votes: VoteRow[]
  /** Whether the promotion has expired but is not closed yet. */
  overdue: boolean
}

export interface VoteRow {
  principal: string
  approved: boolean
  reason: string
  vote_time: string
  /** Whether the principal may approve now or, in a closed promotion, could when it was closed. */
  counts: boolean
}

export type PromotionRow = Omit<StoredPromotion, 'decisions'> & { decisions: GateDecision[] }

const MAY_APPROVE = `exists (select from role_binding r where r.principal = v.principal
  and r.namespace in (p.namespace, '*') and r.role in ('APPROVER', 'ADMIN'))`

/** `model` is the present name, or the last name of a deleted model. */
const COLUMNS = `p.id, p.namespace, p.model_id,
  coalesce((select m.name from model m where m.id = p.model_id), p.model) as model, p.alias, p.number, p.version_id,
  p.digest, p.creator, p.from_number, p.from_digest, p.state, p.decisions, p.requester, p.reason, p.request_time,
  p.expire_time, p.closer, p.close_reason, p.close_time,
  p.state = 'PENDING_APPROVAL' and p.expire_time <= clock_timestamp() as overdue,
  (select coalesce(json_agg(json_build_object('principal', v.principal, 'approved', v.approved, 'reason', v.reason,
      'vote_time', v.vote_time::text, 'counts', case p.state when 'PENDING_APPROVAL' then ${MAY_APPROVE} else v.counted end)
      order by v.vote_time), '[]')
    from promotion_vote v where v.promotion_id = p.id) as votes`

export async function findPromotion(em: EntityManager, id: string): Promise<PromotionRow | undefined> {
  const [row] = await em.execute<StoredPromotion[]>(`select ${COLUMNS} from promotion p where p.id = ?`, [id])
  return row && parseRow(row)
}

export type NewPromotion = Pick<
  PromotionRow,
  | 'id'
  | 'namespace'
  | 'model_id'
  | 'model'
  | 'alias'
  | 'number'
  | 'version_id'
  | 'digest'
  | 'creator'
  | 'from_number'
  | 'from_digest'
  | 'decisions'
  | 'requester'
  | 'reason'
> & { expirySeconds: number }

export async function insertPromotion(em: EntityManager, promotion: NewPromotion): Promise<void> {
  const { expirySeconds, decisions, ...rest } = promotion
  const stored = JSON.stringify(serializeDecisions(decisions))
  const columns = Object.keys(rest)
  await em.execute(
    `insert into promotion (${columns.join(', ')}, decisions, message_bytes, state, request_time, expire_time)
      select ${columns.map(() => '?').join(', ')}, ?, ?, 'PENDING_APPROVAL', now, now + make_interval(secs => ?)
      from (select clock_timestamp() as now) as clock`,
    [...Object.values(rest), stored, Buffer.byteLength(stored) + Buffer.byteLength(rest.reason), expirySeconds],
  )
}

/** Returns the id of a pending promotion of the version to the alias. */
export async function findPending(
  em: EntityManager,
  { modelId, alias, versionId }: { modelId: string; alias: string; versionId: string },
): Promise<string | undefined> {
  const [row] = await em.execute<{ id: string }[]>(
    `select id from promotion where state = 'PENDING_APPROVAL' and model_id = ? and alias = ? and version_id = ?
      and expire_time > clock_timestamp()`,
    [modelId, alias, versionId],
  )
  return row?.id
}

export async function insertVote(
  em: EntityManager,
  id: string,
  vote: { principal: string; approved: boolean; reason: string },
): Promise<void> {
  await em.execute(
    `insert into promotion_vote (promotion_id, principal, approved, reason, vote_time)
      values (?, ?, ?, ?, clock_timestamp())`,
    [id, vote.principal, vote.approved, vote.reason],
  )
  await em.execute('update promotion set message_bytes = message_bytes + ? where id = ?', [
    Buffer.byteLength(vote.reason),
    id,
  ])
}

export interface PromotionEnd {
  state: Exclude<PromotionStateName, 'PENDING_APPROVAL'>
  closer: string
  reason: string
}

export async function closePromotion(
  em: EntityManager,
  id: string,
  { state, closer, reason }: PromotionEnd,
): Promise<void> {
  await em.execute(
    `update promotion_vote v set counted = ${MAY_APPROVE} from promotion p where p.id = v.promotion_id and p.id = ?`,
    [id],
  )
  await em.execute(
    `update promotion set state = ?, closer = ?, close_reason = ?, close_time = clock_timestamp(),
      message_bytes = message_bytes + ? where id = ? and state = 'PENDING_APPROVAL'`,
    [state, closer, reason, Buffer.byteLength(reason), id],
  )
}

/** Replaces the decisions by those at the time the promotion is applied. */
export async function recordDecisions(em: EntityManager, id: string, decisions: GateDecision[]): Promise<void> {
  await em.execute('update promotion set decisions = ? where id = ?', [
    JSON.stringify(serializeDecisions(decisions)),
    id,
  ])
}

/** Selects pending promotions. */
export type PendingFilter =
  | { modelId: string; aliases: string[] }
  | { modelId: string }
  | { versionId: string }
  | { namespace: string }

/** Locks and returns the pending promotions. The order is fixed, so that concurrent transactions do not deadlock. */
export async function lockPending(em: EntityManager, filter: PendingFilter): Promise<PromotionRow[]> {
  const { condition, values } = filterCondition(filter)
  const rows = await em.execute<StoredPromotion[]>(
    `select ${COLUMNS} from promotion p where p.state = 'PENDING_APPROVAL' and ${condition} order by p.id for update`,
    values,
  )
  return rows.map(parseRow)
}

function filterCondition(filter: PendingFilter): { condition: string; values: unknown[] } {
  if ('versionId' in filter) return { condition: 'p.version_id = ?', values: [filter.versionId] }
  if ('aliases' in filter) {
    const names = JSON.stringify(filter.aliases)
    return {
      condition: 'p.model_id = ? and p.alias in (select jsonb_array_elements_text(?::jsonb))',
      values: [filter.modelId, names],
    }
  }
  if ('modelId' in filter) return { condition: 'p.model_id = ?', values: [filter.modelId] }
  return { condition: 'p.namespace = ?', values: [filter.namespace] }
}

/** Returns promotions that have expired but are not closed yet, the longest overdue first. */
export async function findOverdue(em: EntityManager, limit: number): Promise<{ id: string; model_id: string }[]> {
  return em.execute(
    `select id, model_id from promotion where state = 'PENDING_APPROVAL' and expire_time <= clock_timestamp()
      order by expire_time limit ?`,
    [limit],
  )
}

export interface PromotionQuery {
  within: { modelId: string } | { namespace: string }
  /** Undefined for all states. An overdue promotion counts as EXPIRED. */
  state: PromotionStateName | undefined
  page: Page
}

/** Returns the newest first: one row more than the page if there is one, and the page cut to the size of an answer. */
export async function listPromotions(
  em: EntityManager,
  { within, state, page }: PromotionQuery,
  signal: AbortSignal,
): Promise<{ rows: PromotionRow[]; page: Page }> {
  const conditions = [
    'modelId' in within ? sql`p.model_id = ${within.modelId}::uuid` : sql`p.namespace = ${within.namespace}`,
  ]
  const overdue = sql`p.state = 'PENDING_APPROVAL' and p.expire_time <= clock_timestamp()`
  if (state === 'EXPIRED') conditions.push(sql`(p.state = 'EXPIRED' or (${overdue}))`)
  else if (state) conditions.push(sql`p.state = ${state} and not (${overdue})`)
  if (page.after) {
    const [time, id] = page.after
    conditions.push(sql`(p.request_time, p.id) < (${time}::timestamptz, ${id}::uuid)`)
  }
  const keys = sql`select p.id, p.request_time as sort_key, p.message_bytes as bytes from promotion p
    where ${sql.join(conditions, sql` and `)} order by p.request_time desc, p.id desc limit ${page.size + 1}`
  const { rows } = await sql<StoredPromotion & { fetched: string }>`
    select ${sql.raw(COLUMNS)}, k.fetched from ${withinBudget(keys, true)} as k
      join promotion p on p.id = k.id order by k.ordinal
  `.execute(em.getKysely(), { signal, inflightQueryAbortStrategy: 'cancel query' })
  return { rows: rows.map(parseRow), page: truncatePage(page, rows) }
}

function parseRow(row: StoredPromotion): PromotionRow {
  return { ...row, decisions: row.decisions.map((decision) => fromJson(GateDecisionSchema, decision)) }
}

function serializeDecisions(decisions: GateDecision[]): JsonValue[] {
  return decisions.map((decision) => toJson(GateDecisionSchema, decision))
}
