import { create } from '@bufbuild/protobuf'
import { NamespaceSchema, type Namespace } from '#gen/modelkeep/metadata/v1/namespace_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { Namespace as StoredNamespace } from '../../store/models/namespace.ts'
import { etagOf } from '../../domain/etags.ts'

export function presentNamespace(namespace: StoredNamespace): Namespace {
  return create(NamespaceSchema, {
    id: namespace.id,
    name: namespace.name,
    description: namespace.description,
    createTime: toTimestamp(namespace.createTime),
    updateTime: toTimestamp(namespace.updateTime),
    etag: etagOf(namespace),
  })
}
