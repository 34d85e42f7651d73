// What producers did that they must not do, and how the log is.
import type { EntityManager } from '#lib/store/database.ts'

export interface AlarmKey {
  kind: 'GAP' | 'ALTERED' | 'CLOCK'
  producer: string
  subject: string
}

export interface AlarmRow extends AlarmKey {
  detail: string
  count: string
  first_time: string
  last_time: string
}

/** True the first time. */
export async function countAlarm(em: EntityManager, alarm: AlarmKey & { detail: string }): Promise<boolean> {
  const { kind, producer, subject, detail } = alarm
  const [row] = await em.execute<{ count: string }[]>(
    `insert into alarm (kind, producer, subject, detail) values (?, ?, ?, ?)
      on conflict (kind, producer, subject) do update set count = alarm.count + 1, last_time = clock_timestamp()
      returning count`,
    [kind, producer, subject, detail],
  )
  return row!.count === '1'
}

export async function listAlarms(em: EntityManager, limit: number): Promise<AlarmRow[]> {
  return em.execute<AlarmRow[]>(
    `select kind, producer, subject, detail, count, first_time, last_time from alarm
      order by last_time desc, kind, producer, subject limit ?`,
    [limit],
  )
}

export interface ProducerRow {
  name: string
  next_sequence: string
  last_record_time: string | null
}

export async function listProducers(em: EntityManager): Promise<ProducerRow[]> {
  return em.execute<ProducerRow[]>(
    `select name, next_sequence, (select record_time from entry
        where entry.producer = producer.name and entry.sequence = producer.next_sequence - 1) as last_record_time
      from producer order by name`,
  )
}

export async function findSignTime(em: EntityManager, size: number): Promise<string | undefined> {
  const [row] = await em.execute<{ sign_time: string }[]>(
    'select sign_time from checkpoint where size = ? order by sign_time desc limit 1',
    [size],
  )
  return row?.sign_time
}
