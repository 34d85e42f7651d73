import { create } from '@bufbuild/protobuf'
import { NamespaceSchema, type Namespace } from '#gen/modelkeep/metadata/v1/namespace_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { NamespaceRow } from '../../store/models/namespace.ts'
import { etagOf } from '../../domain/etags.ts'

export function presentNamespace(row: NamespaceRow): Namespace {
  return create(NamespaceSchema, {
    id: row.id,
    name: row.name,
    description: row.description,
    createTime: toTimestamp(row.create_time),
    updateTime: toTimestamp(row.update_time),
    etag: etagOf(row),
  })
}
