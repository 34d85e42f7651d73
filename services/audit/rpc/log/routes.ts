import type { ConnectRouter } from '@connectrpc/connect'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import type { LogDeps } from '../../deps.ts'
import { getEntry } from './get-entry.ts'
import { getLogHealth } from './get-log-health.ts'
import { listEntries } from './list-entries.ts'
import { watchEntries } from './watch-entries.ts'

export function logRoutes(deps: LogDeps): (router: ConnectRouter) => void {
  return (router) => {
    router.service(LogService, {
      getEntry: (request, context) => getEntry(deps, request, context),
      listEntries: (request, context) => listEntries(deps, request, context),
      getLogHealth: (_, context) => getLogHealth(deps, context),
      watchEntries: (request, context) =>
        deps.streams.pass(accessOf(context).caller.principal, () => watchEntries(deps, request, context)),
    })
  }
}
