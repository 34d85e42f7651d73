// The commands version update and delete.
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { VersionSchema } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { confirm } from '../../terminal/confirm.ts'
import type { Context } from '../../context.ts'
import { jsonOf, versionName } from '../../terminal/output.ts'
import { parseExactRef } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'
import { changes } from './model.ts'
import { resolveRef } from '../alias/resolve.ts'

interface UpdateOptions {
  description?: string
  card?: string
  label?: string[]
  removeLabel?: string[]
}

export async function updateVersion(context: Context, text: string, options: UpdateOptions): Promise<void> {
  const ref = parseExactRef(text, context.namespace)
  const { card, description, label, removeLabel } = options
  const wanted = {
    ...(description !== undefined && { description }),
    ...(label && { label }),
    ...(removeLabel && { removeLabel }),
    ...(card !== undefined && { modelCard: await readFile(card, 'utf8') }),
  }
  const before = await resolveRef(context, text)
  const { values, paths } = changes(wanted, before.labels)
  const registry = context.registry()
  const request = { version: ref, ...values, updateMask: { paths }, etag: before.etag, requestId: randomUUID() }
  const { version } = await registry.metadata(VersionService).updateVersion(request, unary(registry))
  if (context.output.json) return context.output.document(jsonOf(VersionSchema, version!))
  context.output.write(`updated ${versionName(version!)}: ${paths.join(', ')}`)
}

export async function deleteVersion(context: Context, text: string, options: { reason?: string; yes?: boolean }) {
  const version = parseExactRef(text, context.namespace)
  await confirm(`permanently delete ${text}`, options.yes ?? false)
  const registry = context.registry()
  const request = { version, reason: options.reason ?? '', requestId: randomUUID() }
  await registry.metadata(VersionService).deleteVersion(request, unary(registry))
  if (context.output.json) return context.output.document({ deleted: text })
  context.output.write(`deleted ${text}`)
}
