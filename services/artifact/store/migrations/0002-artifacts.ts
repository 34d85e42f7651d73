import { Migration } from '@mikro-orm/migrations'
import { governTable } from '#lib/store/outbox-sql.ts'
import { grantAllSql } from '#lib/store/roles-sql.ts'

const BLOBS = [
  `create table blob (
    digest text not null,
    size_bytes bigint not null,
    part_size_bytes bigint not null,
    part_sha256s bytea not null,
    object_key text not null,
    create_time timestamptz(6) not null default now(),
    constraint blob_pkey primary key (digest),
    constraint blob_object_key_unique unique (object_key)
  )`,
  `create table namespace_blob (
    namespace text not null,
    digest text not null,
    create_time timestamptz(6) not null default now(),
    constraint namespace_blob_pkey primary key (namespace, digest),
    constraint namespace_blob_digest_foreign foreign key (digest) references blob (digest)
  )`,
  `create index namespace_blob_digest_index on namespace_blob (digest)`,
  governTable('namespace_blob', 'digest'),
  `create table doomed_object (
    object_key text not null,
    store_upload_id text null,
    claimed_until timestamptz(6) null,
    create_time timestamptz(6) not null default now(),
    constraint doomed_object_pkey primary key (object_key)
  )`,
  `create index doomed_object_create_time_index on doomed_object (create_time)`,
]

const UPLOADS = [
  `create table upload (
    id uuid not null,
    namespace text not null,
    principal text not null,
    digest text not null,
    size_bytes bigint not null,
    part_size_bytes bigint not null,
    resumable boolean not null,
    object_key text not null,
    store_upload_id text null,
    state text not null default 'OPEN',
    epoch bigint not null default 0,
    lease_until timestamptz(6) null,
    create_time timestamptz(6) not null default now(),
    expire_time timestamptz(6) not null,
    constraint upload_pkey primary key (id),
    constraint upload_object_key_unique unique (object_key),
    constraint upload_state_check check (state in ('OPEN', 'COMPLETING', 'COMMITTED', 'ABORTED', 'EXPIRED'))
  )`,
  `create unique index upload_unfinished_unique on upload (principal, namespace, digest, size_bytes)
    where resumable and state in ('OPEN', 'COMPLETING')`,
  `create index upload_state_expire_time_index on upload (state, expire_time)`,
  `create table upload_part (
    upload_id uuid not null,
    number int not null,
    size_bytes bigint not null,
    sha256 bytea not null,
    etag text not null,
    constraint upload_part_pkey primary key (upload_id, number),
    constraint upload_part_upload_foreign foreign key (upload_id) references upload (id) on delete cascade
  )`,
]

const MANIFESTS = [
  `create table manifest (
    namespace text not null,
    digest text not null,
    content bytea not null,
    total_size_bytes bigint not null,
    file_count int not null,
    create_time timestamptz(6) not null default now(),
    constraint manifest_pkey primary key (namespace, digest)
  )`,
  governTable('manifest', 'digest'),
  `create table manifest_blob (
    namespace text not null,
    manifest_digest text not null,
    blob_digest text not null,
    constraint manifest_blob_pkey primary key (namespace, manifest_digest, blob_digest)
  )`,
  `create index manifest_blob_blob_digest_index on manifest_blob (namespace, blob_digest)`,
  `create table manifest_hold (
    namespace text not null,
    digest text not null,
    version_id uuid not null,
    create_time timestamptz(6) not null default now(),
    constraint manifest_hold_pkey primary key (namespace, digest, version_id)
  )`,
]

export class M0002Artifacts extends Migration {
  override up(): void {
    const tables = [
      'blob',
      'namespace_blob',
      'doomed_object',
      'upload',
      'upload_part',
      'manifest',
      'manifest_blob',
      'manifest_hold',
    ]
    const statements = [...BLOBS, ...UPLOADS, ...MANIFESTS, grantAllSql('modelkeep_artifact', tables)]
    for (const statement of statements) this.addSql(statement)
  }
}
