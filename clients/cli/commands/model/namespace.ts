// The commands namespace create, list and delete.
import { randomUUID } from 'node:crypto'
import { NamespaceSchema } from '#gen/modelkeep/metadata/v1/namespace_pb.ts'
import { NamespaceService } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import type { Context } from '../../context.ts'
import { jsonOf, table, time } from '../../terminal/output.ts'
import { takePages } from '../../terminal/pages.ts'
import { unary } from '../../connection/registry.ts'

export async function createNamespace(
  context: Context,
  name: string,
  options: { description?: string },
): Promise<void> {
  const registry = context.registry()
  const request = { name, description: options.description ?? '', requestId: randomUUID() }
  const { namespace } = await registry.metadata(NamespaceService).createNamespace(request, unary(registry))
  if (context.output.json) return context.output.document(jsonOf(NamespaceSchema, namespace!))
  context.output.write(`created namespace ${namespace!.name}`)
}

export async function listNamespaces(context: Context): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const { items } = await takePages(Infinity, async (page) => {
    const answer = await registry.metadata(NamespaceService).listNamespaces(page, unary(registry))
    return { items: answer.namespaces, nextPageToken: answer.nextPageToken }
  })
  if (output.json) return output.document({ namespaces: items.map((namespace) => jsonOf(NamespaceSchema, namespace)) })
  const rows = items.map(({ name, createTime, description }) => [
    name,
    time(createTime),
    description.split('\n')[0] ?? '',
  ])
  output.write(table(['NAMESPACE', 'CREATED', 'DESCRIPTION'], rows))
}

export async function deleteNamespace(context: Context, name: string, options: { reason?: string }): Promise<void> {
  const registry = context.registry()
  const request = { name, reason: options.reason ?? '', requestId: randomUUID() }
  await registry.metadata(NamespaceService).deleteNamespace(request, unary(registry))
  if (context.output.json) return context.output.document({ deleted: name })
  context.output.write(`deleted namespace ${name}`)
}
