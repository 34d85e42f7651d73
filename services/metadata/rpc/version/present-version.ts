import { create, fromJson } from '@bufbuild/protobuf'
import { VersionFactsSchema } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { VersionSchema, VersionState, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { VersionRow } from '../../store/versions/version-rows.ts'
import { etagOf } from '../../domain/etags.ts'

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
