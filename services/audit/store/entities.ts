// The entities of the log. append.ts, entry-lists.ts and the other SQL files name the same tables.
import { defineEntity, p, raw } from '@mikro-orm/postgresql'
import { timeColumn } from '#lib/store/time.ts'

/** A time that is set from the database's clock when the row is created. */
const clockColumn = () => timeColumn().onCreate(() => raw('clock_timestamp()'))

const bytes = () => p.blob().$type<Buffer>()

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
    /** Empty: reasons are private values. Only entries from before private values have one. */
    reason: p.text(),
    requestId: p.text(),
    occurTime: timeColumn(),
    recordTime: timeColumn(),
    /** The bytes that were recorded. The other columns are copies for searching. */
    leaf: bytes(),
    leafHash: bytes(),
    /** Size of the private values when they were recorded. */
    privateBytes: p.integer().default(0),
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
    /** Hashes of the complete subtrees that make up the tree, the largest first. */
    peaks: bytes(),
    root: bytes(),
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

const TileSchema = defineEntity({
  name: 'Tile',
  tableName: 'tile',
  properties: {
    level: p.integer().primary().autoincrement(false),
    index: p.bigint('number').primary().autoincrement(false),
    /** Up to 256 hashes, one after the other. */
    hashes: bytes(),
  },
  checks: [
    { name: 'tile_full_check', expression: 'octet_length(hashes) <= 8192' },
    { name: 'tile_whole_check', expression: 'octet_length(hashes) % 32 = 0' },
  ],
})
export class Tile extends TileSchema.class {}
TileSchema.setClass(Tile)

const CheckpointSchema = defineEntity({
  name: 'Checkpoint',
  tableName: 'checkpoint',
  properties: {
    size: p.bigint('number').primary().autoincrement(false),
    /** Ids of the keys that signed, in hex, with commas between them. */
    keyId: p.text().primary(),
    root: bytes(),
    /** The checkpoint with the signatures of the log. */
    note: p.text(),
    signTime: clockColumn(),
  },
})
export class Checkpoint extends CheckpointSchema.class {}
CheckpointSchema.setClass(Checkpoint)

const PrivateValueSchema = defineEntity({
  name: 'PrivateValue',
  tableName: 'private_value',
  properties: {
    index: p.bigint('number').primary().autoincrement(false),
    /** The name of the value in the leaf's commitments. */
    field: p.text().primary(),
    salt: bytes().nullable(),
    /** Canonical JSON. */
    value: p.text().nullable(),
    /** Index of the entry that records the erasure. */
    redactIndex: p.bigint('number').nullable(),
    /** Empty for values from before retention classes, which do not expire. */
    retentionClass: p.text().default(''),
  },
  indexes: [
    {
      name: 'private_value_retention_class_index',
      properties: ['retentionClass', 'index', 'field'],
      where: 'value is not null',
    },
  ],
  checks: [
    {
      name: 'private_value_erased_check',
      expression: '(salt is null) = (redact_index is not null) and (value is null) = (redact_index is not null)',
    },
    {
      name: 'private_value_retention_class_check',
      expression: `retention_class in ('', 'OPERATIONAL', 'SECURITY', 'GOVERNANCE')`,
    },
  ],
})
export class PrivateValue extends PrivateValueSchema.class {}
PrivateValueSchema.setClass(PrivateValue)

const HoldSchema = defineEntity({
  name: 'Hold',
  tableName: 'hold',
  properties: {
    id: p.uuid().primary(),
    /** `*` for all namespaces; empty for a hold on one resource. */
    namespace: p.text(),
    resourceId: p.text(),
    reason: p.text(),
    placer: p.text(),
    placeTime: timeColumn().defaultRaw('clock_timestamp()'),
    /** Index of the entry that records the release. */
    releaseIndex: p.bigint('number').nullable(),
  },
  checks: [{ name: 'hold_subject_check', expression: `(namespace = '') <> (resource_id = '')` }],
})
export class Hold extends HoldSchema.class {}
HoldSchema.setClass(Hold)

const AlarmSchema = defineEntity({
  name: 'Alarm',
  tableName: 'alarm',
  properties: {
    kind: p.text().$type<'GAP' | 'ALTERED' | 'CLOCK'>().primary(),
    producer: p.text().primary(),
    /** The expected sequence, the id of the event, or the kind of skew and the date. */
    subject: p.text().primary(),
    detail: p.text(),
    count: p.bigint('number').defaultRaw('1'),
    firstTime: timeColumn().defaultRaw('clock_timestamp()'),
    lastTime: timeColumn().defaultRaw('clock_timestamp()'),
  },
  checks: [{ name: 'alarm_kind_check', expression: `kind in ('GAP', 'ALTERED', 'CLOCK')` }],
})
export class Alarm extends AlarmSchema.class {}
AlarmSchema.setClass(Alarm)

const CosignatureSchema = defineEntity({
  name: 'Cosignature',
  tableName: 'cosignature',
  properties: {
    size: p.bigint('number').primary().autoincrement(false),
    /** The key id of the checkpoint. */
    keyId: p.text().primary(),
    /** Id of the witness's key, in hex. */
    cosignerId: p.text().primary(),
    /** The witness's name in its key. */
    cosigner: p.text(),
    /** The signature line of the note, with its newline. */
    line: p.text(),
    cosignTime: clockColumn(),
  },
})
export class Cosignature extends CosignatureSchema.class {}
CosignatureSchema.setClass(Cosignature)

const PublicationSchema = defineEntity({
  name: 'Publication',
  tableName: 'publication',
  properties: {
    size: p.bigint('number').primary().autoincrement(false),
    /** The key id of the checkpoint. */
    keyId: p.text().primary(),
    /** Whether enough witnesses had cosigned; NONE where there was no policy. */
    quorum: p.text().$type<'MET' | 'NONE' | 'UNMET'>().primary(),
    publishTime: clockColumn(),
  },
  checks: [{ name: 'publication_quorum_check', expression: `quorum in ('MET', 'NONE', 'UNMET')` }],
})
export class Publication extends PublicationSchema.class {}
PublicationSchema.setClass(Publication)

const WormCopySchema = defineEntity({
  name: 'WormCopy',
  tableName: 'worm_copy',
  properties: {
    /** Address, bucket and prefix. */
    bucket: p.text().primary(),
    /** Number of full tiles of level 0 in the bucket. */
    tiles: p.bigint('number'),
    checkpointSize: p.bigint('number'),
  },
})
export class WormCopy extends WormCopySchema.class {}
WormCopySchema.setClass(WormCopy)

export const ENTITIES = [
  Entry,
  LogHead,
  Producer,
  Tile,
  Checkpoint,
  PrivateValue,
  Hold,
  Alarm,
  Cosignature,
  Publication,
  WormCopy,
]
