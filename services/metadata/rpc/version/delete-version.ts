import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  DeleteVersionRequestSchema,
  DeleteVersionResponseSchema,
  type DeleteVersionRequest,
} from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseExactVersionRef } from '../../domain/refs.ts'
import { parseReason } from '../../domain/text.ts'
import { lockNamespaceShared } from '../../store/models/namespace.ts'
import type { Version } from '../../store/versions/version.ts'
import { authorizeVersion, requireEtag, requireVersionLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { versionResource } from '../../changes/resources.ts'
import { voidPromotions } from '../../changes/void-promotions.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { versionDigest } from '../../changes/state-digest.ts'
import { Alias } from '../../store/aliases/alias.ts'
import { Tombstone } from '../../store/models/tombstone.ts'
import { ManifestRelease } from '../../store/versions/manifest-release.ts'
import { countChildren, lockForDeletion } from '../../store/versions/find-version.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { transactionTime } from '#lib/store/time.ts'

export async function deleteVersion(deps: RegistryDeps, request: DeleteVersionRequest, context: HandlerContext) {
  const key = parseExactVersionRef(request.version, 'version')
  const reason = parseReason(request.reason)
  await authorizeVersion(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: DeleteVersionRequestSchema, output: DeleteVersionResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const version = await requireVersionLock(em, key)
    requireEtag(version, request.etag)
    await requireUnused(em, version)
    await lockNamespaceShared(em, version.namespace)
    await voidPromotions(em, context, { versionId: version.id }, { because: 'VERSION_DELETED' })
    remove(em, version, accessOf(context).caller.principal)
    await em.flush()
    emit(em, context, {
      type: 'version.deleted.v1',
      resource: versionResource(version),
      reason,
      beforeDigest: versionDigest(version),
      details: { number: version.number, semver: version.semver ?? '', digest: version.digest },
    })
    return create(DeleteVersionResponseSchema)
  })
  deps.releases.wake()
  await settleChange(deps.relay, context)
  return answer
}

/** Fails when aliases point at the version, or when versions are derived from it. Waits for CreateVersion calls that
 * derive one. */
async function requireUnused(em: EntityManager, { id, namespace, modelName, number }: Version): Promise<void> {
  await lockForDeletion(em, id)
  const name = `${namespace}/${modelName}:${number}`
  const rows = await em.find(Alias, { version: id }, { orderBy: { name: 'asc' } })
  const aliases = rows.map((alias) => alias.name).join(', ')
  if (aliases !== '')
    fail('VERSION_IN_USE', `version "${name}" has aliases: ${aliases}; remove them first`, { aliases })
  const children = await countChildren(em, id)
  if (children === 0) return
  fail('VERSION_IN_USE', `version "${name}" is the parent of other versions`, { aliases, children: String(children) })
}

/** Removes the version, and schedules the release of its manifest. */
function remove(em: EntityManager, version: Version, deleter: string): void {
  const { id, namespace, digest, number, modelName: name, model: modelId } = version
  em.create(Tombstone, { id, type: 'version', namespace, name, modelId, number, digest, deleter })
  em.create(ManifestRelease, { versionId: id, namespace, digest, dueTime: transactionTime() })
  em.remove(version)
}
