import type { ConnectRouter } from '@connectrpc/connect'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import type { LogDeps } from '../../deps.ts'
import { appendEvents } from './append-events.ts'

export function ingestRoutes(deps: LogDeps): (router: ConnectRouter) => void {
  return (router) => {
    router.service(IngestService, {
      appendEvents: (request, context) => appendEvents(deps, request, context),
    })
  }
}
