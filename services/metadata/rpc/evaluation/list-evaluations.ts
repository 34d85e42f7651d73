import type { HandlerContext } from '@connectrpc/connect'
import type { ListEvaluationsRequest } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseSuite } from '../../domain/governance/evaluation-facts.ts'
import { parseVersionRef } from '../../domain/refs.ts'
import * as store from '../../store/governance/evaluation-rows.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isIdKey, isTimeKey } from '../page-keys.ts'
import { presentEvaluation } from './present-evaluation.ts'
import { requireVersion } from '../../changes/require-version.ts'

export async function listEvaluations(
  { database }: RegistryDeps,
  request: ListEvaluationsRequest,
  context: HandlerContext,
) {
  const key = parseVersionRef(request.version, 'version')
  const suite = parseSuite(request.suite)
  const em = forkFor(database, context.signal)
  const version = await requireVersion(em, context, key)
  const asked = parsePage(request, ['ListEvaluations', version.id, suite], ['string', 'string'])
  const page = checkKeys(asked, [isTimeKey, isIdKey])
  const found = await store.listEvaluations(em, { versionId: version.id, suite, page }, context.signal)
  const { rows, nextPageToken } = cutPage(found.rows, found.page, (row) => [row.create_time, row.id])
  return { evaluations: rows.map(presentEvaluation), nextPageToken }
}
