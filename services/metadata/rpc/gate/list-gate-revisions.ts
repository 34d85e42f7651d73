import type { HandlerContext } from '@connectrpc/connect'
import type { ListGateRevisionsRequest } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { listRevisions } from '../../store/governance/gate-list.ts'
import { GateRevision } from '../../store/governance/gate.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isNumberKey } from '../page-keys.ts'
import { presentRevision } from './present-gate.ts'
import { failNoGate } from '../../changes/checks.ts'

export async function listGateRevisions(
  { database }: RegistryDeps,
  request: ListGateRevisionsRequest,
  context: HandlerContext,
) {
  const id = parseUuid(request.gateId, 'gate_id')
  const em = forkFor(database, context.signal)
  // A deleted gate still has its revisions.
  const first = (await em.findOne(GateRevision, { gateId: id, revision: 1 })) ?? failNoGate(id)
  accessOf(context).require(first.namespace, () => failNoGate(id))
  const page = checkKeys(parsePage(request, ['ListGateRevisions', id], ['number']), [isNumberKey])
  const found = await listRevisions(em, id, page)
  const { rows, nextPageToken } = cutPage(found.rows, found.page, ({ revision }) => [revision])
  return { revisions: rows.map(presentRevision), nextPageToken }
}
