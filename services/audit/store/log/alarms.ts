// Alarms about producers and clocks, and the producers themselves.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { Alarm, type Producer } from '../entities.ts'
import { query } from '#lib/store/query.ts'

export type AlarmKey = Pick<Alarm, 'kind' | 'producer' | 'subject'>

/** Counts an alarm. Returns true the first time. */
export async function countAlarm(em: EntityManager, alarm: AlarmKey & Pick<Alarm, 'detail'>): Promise<boolean> {
  const { kind, producer, subject, detail } = alarm
  const [row] = await query<{ count: string }>(
    em,
    sql`insert into alarm (kind, producer, subject, detail) values (${kind}, ${producer}, ${subject}, ${detail})
      on conflict (kind, producer, subject) do update set count = alarm.count + 1, last_time = clock_timestamp()
      returning count`,
  )
  return row!.count === '1'
}

/** Returns the alarms, the latest first. */
export async function listAlarms(em: EntityManager, limit: number): Promise<Alarm[]> {
  const orderBy = { lastTime: 'desc', kind: 'asc', producer: 'asc', subject: 'asc' } as const
  return em.find(Alarm, {}, { orderBy, limit })
}

export type ListedProducer = Pick<Producer, 'name' | 'nextSequence'> & {
  /** When its last event was recorded. */
  lastRecordTime: string | null
}

export async function listProducers(em: EntityManager): Promise<ListedProducer[]> {
  const rows = await query<{ name: string; next_sequence: string; last_record_time: string | null }>(
    em,
    sql`select name, next_sequence, (select record_time from entry
        where entry.producer = producer.name and entry.sequence = producer.next_sequence - 1) as last_record_time
      from producer order by name`,
  )
  return rows.map(({ name, next_sequence: next, last_record_time: lastRecordTime }) => {
    return { name, nextSequence: Number(next), lastRecordTime }
  })
}
