// Rows as messages, and resources as events name them.
import { create, fromJson } from '@bufbuild/protobuf'
import { AliasMoveSchema, AliasSchema, type Alias, type AliasMove } from '#gen/modelkeep/metadata/v1/alias_pb.ts'
import { VersionFactsSchema } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { ModelSchema, ModelState, type Model } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { NamespaceSchema, type Namespace } from '#gen/modelkeep/metadata/v1/namespace_pb.ts'
import { VersionSchema, VersionState, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { AliasMoveRow, AliasRow } from '../store/aliases/alias-rows.ts'
import type { ModelRow } from '../store/models/model-rows.ts'
import type { NamespaceRow } from '../store/models/namespace.ts'
import type { VersionRow } from '../store/versions/version-rows.ts'

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

export function presentModel(row: ModelRow): Model {
  return create(ModelSchema, {
    id: row.id,
    namespace: row.namespace,
    name: row.name,
    description: row.description,
    owner: row.owner,
    labels: row.labels,
    state: ModelState[row.state],
    latestNumber: row.last_number,
    aliases: row.aliases,
    creator: row.creator,
    createTime: toTimestamp(row.create_time),
    updateTime: toTimestamp(row.update_time),
    etag: etagOf(row),
  })
}

export function presentVersion(row: VersionRow): Version {
  return create(VersionSchema, {
    id: row.id,
    modelId: row.model_id,
    namespace: row.namespace,
    model: row.model,
    number: row.number,
    semver: row.semver ?? '',
    digest: row.digest,
    sizeBytes: BigInt(row.size_bytes),
    fileCount: row.file_count,
    state: VersionState[row.state],
    facts: fromJson(VersionFactsSchema, row.facts),
    creator: row.creator,
    createTime: toTimestamp(row.create_time),
    description: row.description,
    labels: row.labels,
    modelCard: row.model_card,
    aliases: row.aliases,
    updateTime: toTimestamp(row.update_time),
    etag: etagOf(row),
  })
}

export function presentAlias(row: AliasRow, model: ModelRow): Alias {
  return create(AliasSchema, {
    modelId: model.id,
    namespace: model.namespace,
    model: model.name,
    name: row.name,
    number: row.number,
    versionId: row.version_id,
    digest: row.digest,
    mover: row.mover,
    moveTime: toTimestamp(row.move_time),
    reason: row.reason,
  })
}

export function presentMove(row: AliasMoveRow): AliasMove {
  return create(AliasMoveSchema, {
    id: row.id,
    name: row.name,
    fromNumber: row.from_number,
    toNumber: row.to_number,
    mover: row.mover,
    moveTime: toTimestamp(row.move_time),
    reason: row.reason,
    promotionId: row.promotion_id ?? '',
    forced: row.forced,
  })
}

export function etagOf({ revision }: { revision: number }): string {
  return String(revision)
}

export function modelResource({ id, namespace, name }: { id: string; namespace: string; name: string }) {
  return { type: 'model', id, namespace, name: `${namespace}/${name}` }
}

export function versionResource(version: Pick<VersionRow, 'id' | 'namespace' | 'model' | 'number' | 'digest'>) {
  const { id, namespace, model, number, digest } = version
  return { type: 'version', id, namespace, name: `${namespace}/${model}:${number}`, digest }
}
