import { create, fromJson } from '@bufbuild/protobuf'
import { VersionFactsSchema } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { VersionSchema, VersionState, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { Version as StoredVersion } from '../../store/versions/version.ts'
import { etagOf } from '../../domain/etags.ts'

/** A version that is read or has just been inserted. */
export type PresentableVersion = Omit<StoredVersion, 'parameters' | 'messageBytes'>

export function presentVersion(version: PresentableVersion): Version {
  return create(VersionSchema, {
    id: version.id,
    modelId: version.model,
    namespace: version.namespace,
    model: version.modelName,
    number: version.number,
    semver: version.semver ?? '',
    digest: version.digest,
    sizeBytes: BigInt(version.sizeBytes),
    fileCount: version.fileCount,
    state: VersionState[version.state],
    facts: fromJson(VersionFactsSchema, version.facts),
    creator: version.creator,
    createTime: toTimestamp(version.createTime),
    description: version.description,
    labels: version.labels,
    modelCard: version.modelCard,
    aliases: version.aliases,
    updateTime: toTimestamp(version.updateTime),
    etag: etagOf(version),
  })
}
