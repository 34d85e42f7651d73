// The log as MikroORM sees it. It is written by append.ts and read by read.ts.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { timeColumn } from '#lib/store/time.ts'

const EntrySchema = defineEntity({
  name: 'Entry',
  tableName: 'entry',
  properties: {
    /** The position in the log, contiguous from 0. */
    index: p.bigint('number').primary().autoincrement(false),
    eventId: p.uuid(),
    producer: p.text(),
    sequence: p.bigint('number'),
    type: p.text(),
    actor: p.text(),
    outcome: p.text(),
    namespace: p.text(),
    resourceType: p.text(),
    resourceId: p.text(),
    resourceName: p.text().collation('C'),
    resourceDigest: p.text(),
    reason: p.text(),
    requestId: p.text(),
    occurTime: timeColumn(),
    recordTime: timeColumn(),
    /** What was recorded. The other columns only help to find it. */
    leaf: p.blob(),
    leafHash: p.blob(),
  },
  uniques: [
    { name: 'entry_event_id_unique', properties: ['eventId'] },
    { name: 'entry_producer_sequence_unique', properties: ['producer', 'sequence'] },
  ],
  indexes: [
    { name: 'entry_namespace_index', properties: ['namespace', 'index'] },
    { name: 'entry_resource_name_index', properties: ['resourceName', 'index'] },
    { name: 'entry_resource_id_index', properties: ['resourceId', 'index'] },
    { name: 'entry_actor_index', properties: ['actor', 'index'] },
    { name: 'entry_type_index', properties: ['type', 'index'] },
  ],
  checks: [{ name: 'entry_outcome_check', expression: `outcome in ('SUCCEEDED', 'DENIED')` }],
})
export class Entry extends EntrySchema.class {}
EntrySchema.setClass(Entry)

const LogHeadSchema = defineEntity({
  name: 'LogHead',
  tableName: 'log_head',
  properties: {
    id: p.integer().primary().autoincrement(false).default(1),
    size: p.bigint('number').defaultRaw('0'),
  },
  checks: [{ name: 'log_head_id_check', expression: 'id = 1' }],
})
export class LogHead extends LogHeadSchema.class {}
LogHeadSchema.setClass(LogHead)

const ProducerSchema = defineEntity({
  name: 'Producer',
  tableName: 'producer',
  properties: {
    name: p.text().primary(),
    nextSequence: p.bigint('number'),
  },
})
export class Producer extends ProducerSchema.class {}
ProducerSchema.setClass(Producer)

export const ENTITIES = [Entry, LogHead, Producer]
