import type { HandlerContext, ServiceImpl } from '@connectrpc/connect'
import type {
  ListVersionsRequest,
  ResolveVersionRequest,
  VersionService,
} from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { failField } from '#lib/errors/errors.ts'
import { parseFilter } from '#lib/lists/filter.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { fromTimestamp } from '#lib/store/time.ts'
import { LATEST } from '../../domain/names.ts'
import { parseVersionOrder, type VersionOrder } from '../../domain/orders.ts'
import { parseModelRef, parseVersionRef, type ModelKey, type VersionKey } from '../../domain/refs.ts'
import { MAX_FILTER_BYTES, parseText } from '../../domain/text.ts'
import { parseTime } from '../../domain/times.ts'
import { findModel } from '../../store/models/model-rows.ts'
import { listVersions as selectVersions, type VersionQuestion } from '../../store/versions/version-list.ts'
import { authorizeModel, failNoModel } from '../../changes/checks.ts'
import { createVersion } from './create-version.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isFiniteKey, isIdKey, isNumberKey, isTimeKey } from '../page-keys.ts'
import { presentVersion } from '../present.ts'
import { requireVersion } from '../../changes/require-version.ts'
import { deleteVersion, updateVersion } from './version-changes.ts'

export function versionRoutes(deps: RegistryDeps): ServiceImpl<typeof VersionService> {
  return {
    createVersion: (request, context) => createVersion(deps, request, context),
    resolveVersion: (request, context) => resolveVersion(deps, request, context),
    listVersions: (request, context) => listVersions(deps, request, context),
    updateVersion: (request, context) => updateVersion(deps, request, context),
    deleteVersion: (request, context) => deleteVersion(deps, request, context),
  }
}

async function resolveVersion({ database }: RegistryDeps, request: ResolveVersionRequest, context: HandlerContext) {
  const key = parseVersionRef(request.ref, 'ref')
  const atTime = parseAtTime(request, key)
  const em = forkFor(database, context.signal)
  return { version: presentVersion(await requireVersion(em, context, key, atTime)) }
}

function parseAtTime({ atTime }: ResolveVersionRequest, key: VersionKey): string | undefined {
  if (!atTime) return undefined
  if ('id' in key || key.selector.kind !== 'alias' || key.selector.value === LATEST) {
    failField('at_time', 'requires an alias other than "latest"')
  }
  return fromTimestamp(parseTime(atTime, 'at_time'))
}

async function listVersions({ database }: RegistryDeps, request: ListVersionsRequest, context: HandlerContext) {
  const key = request.model && parseModelRef(request.model, 'model')
  const filter = parseFilter(parseText(request.filter, 'filter', MAX_FILTER_BYTES))
  const order = parseVersionOrder(request.orderBy, key !== undefined)
  const em = forkFor(database, context.signal)
  const within = await findWithin(em, context, key)
  const bound = 'modelId' in within ? within.modelId : ''
  const query = ['ListVersions', bound, request.filter, ...Object.values(order).map(String)]
  const page = parseVersionPage(request, query, order)
  const found = await selectVersions(em, { within, filter, order, page }, context.signal)
  const { rows, nextPageToken } = cutPage(found.rows, found.page, (row) => [row.sort_key, row.id])
  return { versions: rows.map(presentVersion), nextPageToken }
}

async function findWithin(
  em: EntityManager,
  context: HandlerContext,
  key: ModelKey | undefined,
): Promise<VersionQuestion['within']> {
  if (!key) return { namespaces: accessOf(context).namespaces() }
  await authorizeModel(em, context, key)
  const model = (await findModel(em, key)) ?? failNoModel(key)
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
