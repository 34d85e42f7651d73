import type { Client } from '@connectrpc/connect'
import { ByteStream } from '#gen/google/bytestream/bytestream_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import type { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import type { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { createTokenLookup, createAuthenticate, type TrustedServices } from '#lib/access/authenticate.ts'
import type { Logger } from '#lib/process/log.ts'
import { RefusalThrottle } from '#lib/server/refusals.ts'
import { startRelay } from '#lib/events/relay.ts'
import type { Service } from '#lib/server/service.ts'
import type { Database } from '#lib/store/database.ts'
import { outboxReader, recordRefusal } from '#lib/store/outbox.ts'
import { ByteBudget } from './domain/byte-budget.ts'
import type { DownloadPolicy } from './domain/download-policy.ts'
import type { Lanes } from './domain/lanes.ts'
import { RunningDigests } from './domain/running-digest.ts'
import { StreamLimit } from './domain/stream-limit.ts'
import { boundGarbage } from './heap.ts'
import type { Backend } from './deps.ts'
import { Reads } from './rpc/streaming/reads.ts'
import { artifactRoutes, BYTE_METHODS } from './rpc/routes.ts'
import { SimpleLane } from './changes/simple-lane.ts'
import type { ByteStore } from './store/byte-store.ts'
import { startCollector, USUAL_TERMS, type GarbageTerms } from './jobs/garbage/collector.ts'
import { requireStore } from './store/installation.ts'
import { startJanitor } from './jobs/garbage/janitor.ts'
import { startScrubber } from './jobs/scrub/scrub.ts'

const USUAL_MAX_STREAMS = 1024
const USUAL_MIN_BYTES_PER_SECOND = 64 * 1024

export interface ArtifactDeps {
  database: Database
  /** Where the bytes lie. */
  bytes: ByteStore
  logger: Logger
  draining: AbortSignal
  trustedServices: TrustedServices
  /** The metadata service, which knows the tokens. */
  identity: Client<typeof IdentityService>
  /** The audit service, which keeps the events. */
  ingest: Client<typeof IngestService>
  limits: ArtifactLimits
  /** Which ways bytes may take. Default `any`. */
  lanes?: Lanes
  /** Which reads are told to the log. Default `manifests`. */
  downloads?: DownloadPolicy
  /** The memory that transfers share; by default one of its own. */
  budget?: ByteBudget | undefined
}

export interface ArtifactLimits {
  /** Memory that all transfers share. */
  uploadMemoryBytes: number
  /** How many streams may carry bytes at a time. Default 1,024. */
  maxStreams?: number
  /** How long an upload's stream may be silent, or a download's reader take nothing. */
  streamIdleSeconds: number
  /** What an upload's stream must bring on average over that time. Default 64 KiB/s. */
  uploadMinBytesPerSecond?: number
  /** How long an upload without a new part is kept. */
  uploadExpireSeconds: number
  /** How many unfinished uploads a principal may have in a namespace. */
  uploadLimit: number
  /** When what is garbage. Default `USUAL_TERMS`. */
  terms?: GarbageTerms
  /** How often what is not needed is looked for. Default 30 s. */
  sweepEveryMs?: number
  /** How long a transfer waits for memory. Default 5 s. */
  patienceMs?: number
}

/** Running digests of uploads in parts: a few hundred bytes and 32 for each part. */
const MAX_DIGESTS = 256

/** Blobs, uploads and manifests. */
export function artifactService(deps: ArtifactDeps): Service {
  const { database, bytes, logger, limits } = deps
  boundGarbage()
  const relay = startRelay(outboxReader(database, 'artifact'), (request) => deps.ingest.appendEvents(request), logger)
  const { terms = USUAL_TERMS, sweepEveryMs: everyMs = 30_000 } = limits
  const janitor = startJanitor({ database, bytes, logger, everyMs })
  const collector = startCollector({ database, bytes, logger, terms, everyMs })
  const scrubber = startScrubber({ database, bytes, logger, terms, everyMs })
  const refusals = new RefusalThrottle((refusal) => recordRefusal(database, refusal), logger)
  const closing = new AbortController()
  const streams = new StreamLimit(limits.maxStreams ?? USUAL_MAX_STREAMS)
  const backend: Backend = {
    uploadMinBytesPerSecond: USUAL_MIN_BYTES_PER_SECOND,
    ...limits,
    lanes: deps.lanes ?? 'any',
    reads: new Reads(database, deps.downloads ?? 'manifests'),
    database,
    bytes,
    logger,
    relay,
    janitor,
    simpleLane: new SimpleLane(database, streams),
    digests: new RunningDigests(MAX_DIGESTS),
    streams,
    budget: deps.budget ?? new ByteBudget(limits.uploadMemoryBytes, limits.patienceMs ?? 5_000),
    scrubber,
    terms,
    closing: closing.signal,
    running: new Set(),
  }
  return {
    services: [BlobService, UploadService, DirectService, ManifestService, ByteStream, MaintenanceService],
    routes: artifactRoutes(backend),
    authenticate: createAuthenticate(deps.trustedServices, createTokenLookup(deps.identity)),
    recordRefusal: (refusal) => refusals.report(refusal),
    fastMethods: BYTE_METHODS,
    check: async (_service, late) => {
      await requireStore(deps, late)
      return true
    },
    close: async () => {
      closing.abort()
      await Promise.allSettled(backend.running)
      await refusals.close()
      await Promise.all([janitor, collector, scrubber, relay].map((work) => work.stop()))
      await bytes.close()
      await database.close(true)
    },
  }
}
