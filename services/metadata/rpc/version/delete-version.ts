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
import { shareGates } from '../../store/governance/gate-rows.ts'
import * as store from '../../store/versions/version-changes.ts'
import type { VersionRow } from '../../store/versions/version-rows.ts'
import { authorizeVersion, requireEtag, requireVersionLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { versionResource } from '../../changes/resources.ts'
import { voidPromotions } from '../../changes/promotion-ends.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { versionDigest } from '../../changes/state-digest.ts'

export async function deleteVersion(deps: RegistryDeps, request: DeleteVersionRequest, context: HandlerContext) {
  const key = parseExactVersionRef(request.version, 'version')
  const reason = parseReason(request.reason)
  await authorizeVersion(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: DeleteVersionRequestSchema, output: DeleteVersionResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const version = await requireVersionLock(em, key)
    requireEtag(version, request.etag)
    requireUnused(version, await store.findUse(em, version.id))
    await shareGates(em, version.namespace)
    await voidPromotions(em, context, { versionId: version.id }, { because: 'VERSION_DELETED' })
    await store.removeVersion(em, version, accessOf(context).caller.principal)
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

function requireUnused({ namespace, model, number }: VersionRow, use: store.VersionUse): void {
  const name = `${namespace}/${model}:${number}`
  const aliases = use.aliases.join(', ')
  if (aliases !== '')
    fail('VERSION_IN_USE', `version "${name}" has aliases: ${aliases}; remove them first`, { aliases })
  if (use.children > 0) {
    fail('VERSION_IN_USE', `version "${name}" is the parent of other versions`, {
      aliases: '',
      children: String(use.children),
    })
  }
}
