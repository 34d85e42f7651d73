import type { ConnectRouter } from '@connectrpc/connect'
import { PrivacyService } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import type { LogDeps } from '../../deps.ts'
import { listHolds } from './list-holds.ts'
import { listRetention } from './list-retention.ts'
import { placeHold } from './place-hold.ts'
import { redactEvent } from './redact-event.ts'
import { releaseHold } from './release-hold.ts'

export function privacyRoutes(deps: LogDeps): (router: ConnectRouter) => void {
  return (router) => {
    router.service(PrivacyService, {
      redactEvent: (request, context) => redactEvent(deps, request, context),
      placeHold: (request, context) => placeHold(deps, request, context),
      releaseHold: (request, context) => releaseHold(deps, request, context),
      listHolds: (_, context) => listHolds(deps, context),
      listRetention: (_, context) => listRetention(deps, context),
    })
  }
}
