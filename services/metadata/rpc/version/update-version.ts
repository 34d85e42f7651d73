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
import { transactionTime } from '#lib/store/time.ts'
import { parseLabels } from '../../domain/labels.ts'
import { parseMask } from '../../domain/masks.ts'
import { parseExactVersionRef } from '../../domain/refs.ts'
import { MAX_DESCRIPTION_BYTES, parseDescription, parseText } from '../../domain/text.ts'
import { findVersion } from '../../store/versions/find-version.ts'
import type { Version } from '../../store/versions/version.ts'
import { authorizeVersion, requireEtag, requireVersionLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentVersion } from './present-version.ts'
import { versionResource } from '../../changes/resources.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { versionDigest } from '../../changes/state-digest.ts'

type EditableFields = Pick<Version, 'description' | 'labels' | 'modelCard'>

export async function updateVersion(deps: RegistryDeps, request: UpdateVersionRequest, context: HandlerContext) {
  const key = parseExactVersionRef(request.version, 'version')
  const { fields, change } = parseChange(request)
  await authorizeVersion(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: UpdateVersionRequestSchema, output: UpdateVersionResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const version = await requireVersionLock(em, key)
    requireEtag(version, request.etag)
    const beforeDigest = versionDigest(version)
    const immutableBytes = version.messageBytes - sizeOf(version)
    em.assign(version, { ...change, updateTime: transactionTime() })
    version.messageBytes = immutableBytes + sizeOf(version)
    await em.flush()
    await findVersion(em, version.id)
    emit(em, context, {
      type: 'version.updated.v1',
      resource: versionResource(version),
      beforeDigest,
      afterDigest: versionDigest(version),
      details: { fields },
    })
    return create(UpdateVersionResponseSchema, { version: presentVersion(version) })
  })
  await settleChange(deps.relay, context)
  return answer
}

function parseChange(request: UpdateVersionRequest): { fields: string[]; change: Partial<EditableFields> } {
  const fields = parseMask(request.updateMask, ['description', 'labels', 'model_card'])
  const change = {
    ...(fields.has('description') && { description: parseDescription(request.description) }),
    ...(fields.has('labels') && { labels: parseLabels(request.labels) }),
    ...(fields.has('model_card') && { modelCard: parseText(request.modelCard, 'model_card', MAX_DESCRIPTION_BYTES) }),
  }
  return { fields: [...fields].sort(), change }
}

function sizeOf({ description, labels, modelCard }: EditableFields): number {
  return Buffer.byteLength(description) + Buffer.byteLength(JSON.stringify(labels)) + Buffer.byteLength(modelCard)
}
