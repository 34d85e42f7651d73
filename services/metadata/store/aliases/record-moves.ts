// Hot reads and writes of SetAliases. The caller holds the lock of the model.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import type { OutboxRow } from '#lib/store/outbox.ts'
import { prepare, runPrepared } from '#lib/store/prepared.ts'
import type { Alias } from './alias.ts'

/** An alias and the version that it points at. */
export type AliasTarget = Pick<Alias, 'name' | 'number' | 'version' | 'digest' | 'mover' | 'moveTime' | 'reason'>

export interface VersionTarget {
  number: number
  id: string
  digest: string
}

export interface MoveTargets {
  /** The aliases that exist, by name. */
  aliases: Map<string, AliasTarget>
  /** The versions that exist, by number. */
  versions: Map<number, VersionTarget>
}

type TargetRow = Omit<AliasTarget, 'name'> & { name: string | null }

const TARGETS = prepare<TargetRow>(
  'move-targets',
  sql`select a.name, a.number, v.id as version, v.digest, a.mover, a.move_time as "moveTime", a.reason
      from alias a join version v on v.id = a.version_id where a.model_id = $1 and a.name = any($2::text[])
    union all
    select null, v.number, v.id, v.digest, null, null, null
      from version v where v.model_id = $1 and v.number = any($3::int[])`,
)

/** Returns those of the aliases and versions of the model that exist. */
export async function findMoveTargets(
  em: EntityManager,
  modelId: string,
  names: string[],
  numbers: number[],
): Promise<MoveTargets> {
  const found: MoveTargets = { aliases: new Map(), versions: new Map() }
  for (const { name, ...row } of await runPrepared(em, TARGETS, [modelId, names, numbers])) {
    if (name === null) found.versions.set(row.number, { number: row.number, id: row.version, digest: row.digest })
    else found.aliases.set(name, { name, ...row })
  }
  return found
}

export interface RecordedMove {
  id: string
  aliasId: string
  name: string
  fromNumber: number
  /** 0 when the alias is removed. */
  toNumber: number
  versionId: string | null
  /** Whether the move bypasses gates. */
  forced: boolean
}

export interface Moves {
  modelId: string
  mover: string
  reason: string
  promotionId: string | null
  moves: RecordedMove[]
  events: OutboxRow[]
}

/** The time is the present, or a microsecond after the newest move of the model, whichever is later: a read at a past time
 * sees the moves in their order. */
const RECORD = prepare<{ moveTime: string }>(
  'record-moves',
  sql`with clock as (
      select greatest(clock_timestamp(), max(move_time) + interval '1 microsecond') as now
        from alias_move where model_id = $1
    ), move as (
      select * from jsonb_to_recordset($2::jsonb) as move ("id" uuid, "aliasId" uuid, "name" text, "fromNumber" int,
        "toNumber" int, "versionId" uuid, "forced" boolean)
    ), recorded as (
      insert into alias_move (id, alias_id, model_id, name, from_number, to_number, version_id, mover, move_time, reason,
          promotion_id, forced)
        select id, "aliasId", $1, name, "fromNumber", "toNumber", "versionId", $3, clock.now, $4, $5, forced
        from move, clock
    ), removed as (
      delete from alias using move where alias.id = move."aliasId" and move."toNumber" = 0
    ), placed as (
      insert into alias (id, model_id, name, number, version_id, mover, move_time, reason)
        select "aliasId", $1, name, "toNumber", "versionId", $3, clock.now, $4 from move, clock where "toNumber" > 0
        on conflict (id) do update set number = excluded.number, version_id = excluded.version_id,
          mover = excluded.mover, move_time = excluded.move_time, reason = excluded.reason
    ), emitted as (
      insert into outbox (event_id, resource_id, event)
        select "eventId", "resourceId", event
        from jsonb_to_recordset($6::jsonb) as event ("eventId" uuid, "resourceId" text, event jsonb)
    )
    select now as "moveTime" from clock`,
)

/** Records the moves, points the aliases at their targets, and adds the events, in one statement. Returns the time of the
 * moves. */
export async function recordMoves(
  em: EntityManager,
  { modelId, mover, reason, promotionId, moves, events }: Moves,
): Promise<string> {
  const values = [modelId, JSON.stringify(moves), mover, reason, promotionId, JSON.stringify(events)]
  const [row] = await runPrepared(em, RECORD, values)
  return row!.moveTime
}
