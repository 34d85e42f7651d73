// The commands model create, update, rename, archive, unarchive and delete.
import { randomUUID } from 'node:crypto'
import { ModelSchema, type Model } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import { confirm } from '../../terminal/confirm.ts'
import type { Context } from '../../context.ts'
import { splitPair } from '../../arguments/facts.ts'
import { jsonOf } from '../../terminal/output.ts'
import { parseModelRef, parseRef } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'

interface Description {
  description?: string
  owner?: string
  label?: string[]
}

interface ReasonOption {
  reason?: string
}

export async function createModel(context: Context, text: string, options: Description): Promise<void> {
  const ref = parseRef(text, context.namespace)
  if ('id' in ref || ref.selector) failUsage(`"${text}" is not a model name`)
  const registry = context.registry()
  const request = {
    namespace: ref.namespace,
    name: ref.model,
    description: options.description ?? '',
    owner: options.owner ?? '',
    labels: Object.fromEntries((options.label ?? []).map((pair) => splitPair(pair, '--label'))),
    requestId: randomUUID(),
  }
  const { model } = await registry.metadata(ModelService).createModel(request, unary(registry))
  printModel(context, 'created', model!)
}

export async function updateModel(
  context: Context,
  text: string,
  options: Description & { removeLabel?: string[] },
): Promise<void> {
  const registry = context.registry()
  const ref = parseModelRef(text, context.namespace)
  const before = await registry.metadata(ModelService).getModel({ model: ref }, unary(registry))
  const { values, paths } = changes(options, before.model!.labels)
  const { model } = await registry
    .metadata(ModelService)
    .updateModel(
      { model: ref, ...values, updateMask: { paths }, etag: before.model!.etag, requestId: randomUUID() },
      unary(registry),
    )
  printModel(context, 'updated', model!)
}

interface Changes {
  description?: string
  owner?: string
  modelCard?: string
  label?: string[]
  removeLabel?: string[]
}

/** Returns the changed fields and their paths. Throws CliError if nothing is changed. */
export function changes(options: Changes, labels: Record<string, string>) {
  const { description, owner, modelCard } = options
  const values = {
    ...(description !== undefined && { description }),
    ...(owner !== undefined && { owner }),
    ...(modelCard !== undefined && { modelCard }),
    ...((options.label ?? options.removeLabel) && { labels: changeLabels(options, labels) }),
  }
  const paths = Object.keys(values).map((name) => (name === 'modelCard' ? 'model_card' : name))
  if (paths.length === 0)
    failUsage(
      'nothing to change; pass at least one option',
      'Pass --description, --label or another option; see --help.',
    )
  return { values, paths }
}

function changeLabels(
  { label = [], removeLabel = [] }: Changes,
  labels: Record<string, string>,
): Record<string, string> {
  const added = Object.fromEntries(label.map((pair) => splitPair(pair, '--label')))
  const entries = Object.entries({ ...labels, ...added })
  return Object.fromEntries(entries.filter(([key]) => !removeLabel.includes(key)))
}

export async function renameModel(
  context: Context,
  text: string,
  newName: string,
  { reason = '' }: ReasonOption,
): Promise<void> {
  const registry = context.registry()
  const request = { model: parseModelRef(text, context.namespace), newName, reason, requestId: randomUUID() }
  const { model } = await registry.metadata(ModelService).renameModel(request, unary(registry))
  printModel(context, 'renamed to', model!)
}

export async function archiveModel(context: Context, text: string, { reason = '' }: ReasonOption): Promise<void> {
  const registry = context.registry()
  const request = { model: parseModelRef(text, context.namespace), reason, requestId: randomUUID() }
  const { model } = await registry.metadata(ModelService).archiveModel(request, unary(registry))
  printModel(context, 'archived', model!)
}

export async function unarchiveModel(context: Context, text: string, { reason = '' }: ReasonOption): Promise<void> {
  const registry = context.registry()
  const request = { model: parseModelRef(text, context.namespace), reason, requestId: randomUUID() }
  const { model } = await registry.metadata(ModelService).unarchiveModel(request, unary(registry))
  printModel(context, 'unarchived', model!)
}

export async function deleteModel(
  context: Context,
  text: string,
  options: ReasonOption & { yes?: boolean },
): Promise<void> {
  const registry = context.registry()
  const model = parseModelRef(text, context.namespace)
  await confirm(`permanently delete ${text} and all its versions`, options.yes ?? false)
  const request = { model, reason: options.reason ?? '', requestId: randomUUID() }
  await registry.metadata(ModelService).deleteModel(request, unary(registry))
  if (context.output.json) return context.output.document({ deleted: text })
  context.output.write(`deleted ${text}`)
}

function printModel({ output }: Context, what: string, model: Model): void {
  if (output.json) return output.document(jsonOf(ModelSchema, model))
  output.write(`${what} ${model.namespace}/${model.name} (${model.id})`)
}
