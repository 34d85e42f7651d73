import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  UpdateVersionRequestSchema,
  UpdateVersionResponseSchema,
  type UpdateVersionRequest,
} from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { forkFor } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseLabels } from '../../domain/labels.ts'
import { parseMask } from '../../domain/masks.ts'
import { parseExactVersionRef } from '../../domain/refs.ts'
import { MAX_DESCRIPTION_BYTES, parseDescription, parseText } from '../../domain/text.ts'
import * as store from '../../store/versions/version-changes.ts'
import { findVersionById, type VersionRow } from '../../store/versions/version-rows.ts'
import { authorizeVersion, requireEtag, requireVersionLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentVersion } from './present-version.ts'
import { versionResource } from '../../changes/resources.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { versionDigest } from '../../changes/state-digest.ts'

type Notes = Pick<VersionRow, 'description' | 'labels' | 'model_card'>

export async function updateVersion(deps: RegistryDeps, request: UpdateVersionRequest, context: HandlerContext) {
  const key = parseExactVersionRef(request.version, 'version')
  const { fields, change } = parseChange(request)
  await authorizeVersion(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: UpdateVersionRequestSchema, output: UpdateVersionResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const before = await requireVersionLock(em, key)
    requireEtag(before, request.etag)
    const after = { ...before, ...change }
    await store.updateVersion(em, before.id, after, bytesOf(after) - bytesOf(before))
    const row = (await findVersionById(em, before.id))!
    emit(em, context, {
      type: 'version.updated.v1',
      resource: versionResource(row),
      beforeDigest: versionDigest(before),
      afterDigest: versionDigest(row),
      details: { fields },
    })
    return create(UpdateVersionResponseSchema, { version: presentVersion(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}

function parseChange(request: UpdateVersionRequest): { fields: string[]; change: Partial<Notes> } {
  const fields = parseMask(request.updateMask, ['description', 'labels', 'model_card'])
  const change = {
    ...(fields.has('description') && { description: parseDescription(request.description) }),
    ...(fields.has('labels') && { labels: parseLabels(request.labels) }),
    ...(fields.has('model_card') && { model_card: parseText(request.modelCard, 'model_card', MAX_DESCRIPTION_BYTES) }),
  }
  return { fields: [...fields].sort(), change }
}

function bytesOf({ description, labels, model_card }: Notes): number {
  return Buffer.byteLength(description) + Buffer.byteLength(JSON.stringify(labels)) + Buffer.byteLength(model_card)
}
