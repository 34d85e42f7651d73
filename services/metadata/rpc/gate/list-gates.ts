import type { HandlerContext } from '@connectrpc/connect'
import type { ListGatesRequest } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseNamespace } from '../../domain/names.ts'
import { listGates as selectGates } from '../../store/governance/gate-list.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isTextKey } from '../page-keys.ts'
import { presentGate } from './present-gate.ts'

export async function listGates({ database }: RegistryDeps, request: ListGatesRequest, context: HandlerContext) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  const page = checkKeys(parsePage(request, ['ListGates', namespace], ['string']), [isTextKey])
  const found = await selectGates(forkFor(database, context.signal), namespace, page)
  const { rows, nextPageToken } = cutPage(found.rows, found.page, ({ name }) => [name])
  return { gates: rows.map(presentGate), nextPageToken }
}
