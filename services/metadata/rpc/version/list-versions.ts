import type { HandlerContext } from '@connectrpc/connect'
import type { ListVersionsRequest } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { parseFilter } from '#lib/lists/filter.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { search } from '#lib/store/search.ts'
import { parseVersionOrder, type VersionOrder } from '../../domain/orders.ts'
import { parseModelRef, type ModelKey } from '../../domain/refs.ts'
import { MAX_FILTER_BYTES, parseText } from '../../domain/text.ts'
import { listVersions as selectVersions, type VersionQuery } from '../../store/versions/version-list.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isFiniteKey, isIdKey, isNumberKey, isTimeKey } from '../page-keys.ts'
import { presentVersion } from './present-version.ts'
import { requireModelHead } from '../../changes/checks.ts'

export async function listVersions({ database }: RegistryDeps, request: ListVersionsRequest, context: HandlerContext) {
  const key = request.model && parseModelRef(request.model, 'model')
  const filter = parseFilter(parseText(request.filter, 'filter', MAX_FILTER_BYTES))
  const order = parseVersionOrder(request.orderBy, key !== undefined)
  const em = forkFor(database, context.signal)
  const within = await authorizeScope(em, context, key)
  const modelId = 'modelId' in within ? within.modelId : ''
  const query = ['ListVersions', modelId, request.filter, ...Object.values(order).map(String)]
  const page = parseVersionPage(request, query, order)
  const wanted = { filter, narrow: 'number, semver, digest or create_time', signal: context.signal }
  const found = await search(database, wanted, (reader) => selectVersions(reader, { within, filter, order, page }))
  const { rows, nextPageToken } = cutPage(found.rows, found.page, ({ sortKey, version }) => [sortKey, version.id])
  return { versions: rows.map(({ version }) => presentVersion(version)), nextPageToken }
}

async function authorizeScope(
  em: EntityManager,
  context: HandlerContext,
  key: ModelKey | undefined,
): Promise<VersionQuery['within']> {
  if (!key) return { namespaces: accessOf(context).namespaces() }
  const model = await requireModelHead(em, context, key)
  return { modelId: model.id }
}

const SORT_KEYS = {
  number: { type: 'number', check: isNumberKey },
  create_time: { type: 'string', check: isTimeKey },
  metric: { type: 'number', check: isFiniteKey },
} as const

function parseVersionPage(request: ListVersionsRequest, query: string[], { by }: VersionOrder) {
  const { type, check } = SORT_KEYS[by]
  return checkKeys(parsePage(request, query, [type, 'string']), [check, isIdKey])
}
