import type { HandlerContext } from '@connectrpc/connect'
import type { ListEvaluationsRequest } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseSuite } from '../../domain/governance/evaluation-facts.ts'
import { parseVersionRef } from '../../domain/refs.ts'
import { listEvaluations as selectEvaluations } from '../../store/governance/evaluation-list.ts'
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
  const given = parsePage(request, ['ListEvaluations', version.id, suite], ['string', 'string'])
  const page = checkKeys(given, [isTimeKey, isIdKey])
  const found = await selectEvaluations(em, { versionId: version.id, suite, page })
  const { rows, nextPageToken } = cutPage(found.rows, found.page, ({ createTime, id }) => [createTime, id])
  return { evaluations: rows.map((evaluation) => presentEvaluation(evaluation, version)), nextPageToken }
}
