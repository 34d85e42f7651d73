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
import { ShareLimit } from '#lib/server/limits/share-limit.ts'
import { RefusalThrottle } from '#lib/server/refusals.ts'
import { startRelay } from '#lib/events/relay.ts'
import type { Service } from '#lib/server/service.ts'
import type { Database } from '#lib/store/database.ts'
import { outboxReader, recordRefusal } from '#lib/store/outbox.ts'
import { ByteBudget } from './domain/byte-budget.ts'
import type { DownloadPolicy } from './domain/download-policy.ts'
import { RunningDigests } from './domain/running-digest.ts'
import type { AllowedModes } from './domain/transfer-modes.ts'
import { boundGarbage } from './heap.ts'
import type { Backend } from './deps.ts'
import { ReadAudit } from './rpc/streaming/read-audit.ts'
import { artifactRoutes, BYTE_METHODS } from './rpc/routes.ts'
import { BlobCommitBatcher } from './changes/blob-commit-batcher.ts'
import type { ByteStore } from './store/byte-store.ts'
import { startCollector, DEFAULT_PERIODS, type GarbagePeriods } from './jobs/garbage/collector.ts'
import { requireStore } from './store/installation.ts'
import { startJanitor } from './jobs/garbage/janitor.ts'
import { startScrubber } from './jobs/scrub/scrubber.ts'

const DEFAULT_MAX_STREAMS = 1024
const DEFAULT_MIN_BYTES_PER_SECOND = 64 * 1024

export interface ArtifactDeps {
  database: Database
  /** The store of the bytes. */
  bytes: ByteStore
  logger: Logger
  draining: AbortSignal
  trustedServices: TrustedServices
  /** Client of the metadata service, which authenticates tokens. */
  identity: Client<typeof IdentityService>
  /** Client of the audit service, which stores the events. */
  ingest: Client<typeof IngestService>
  limits: ArtifactLimits
  /** Default `any`. */
  transferModes?: AllowedModes
  /** The reads that are recorded in the audit log. Default `manifests`. */
  downloads?: DownloadPolicy
  /** Limits the memory that transfers share. Default: a budget of `limits.uploadMemoryBytes`. */
  budget?: ByteBudget | undefined
}

export interface ArtifactLimits {
  /** Bytes of memory that all transfers share. */
  uploadMemoryBytes: number
  /** Limit of the streams that carry bytes at a time; one principal has three quarters. Default 1,024. */
  maxStreams?: number
  /** How long an upload may send nothing, or a download accept nothing, before its stream is closed. */
  streamIdleSeconds: number
  /** The average rate that an upload must reach over that time. Default 64 KiB/s. */
  uploadMinBytesPerSecond?: number
  /** An upload expires if it receives no part for this long. */
  uploadExpireSeconds: number
  /** Limit of the unfinished uploads of a principal in a namespace. */
  uploadLimit: number
  /** The times after which unused data counts as garbage. Default `DEFAULT_PERIODS`. */
  periods?: GarbagePeriods
  /** Interval between two searches for garbage. Default 30 s. */
  sweepEveryMs?: number
  /** How long a transfer waits for budget. Default 5 s. */
  budgetWaitMs?: number
}

/** Limit of the running digests of resumable uploads. Each has a few hundred bytes, and 32 for each part. */
const MAX_DIGESTS = 256

/** The artifact service: blobs, uploads and manifests. */
export function artifactService(deps: ArtifactDeps): Service {
  const { database, bytes, logger, limits } = deps
  boundGarbage()
  const relay = startRelay(outboxReader(database, 'artifact'), (request) => deps.ingest.appendEvents(request), logger)
  const { periods = DEFAULT_PERIODS, sweepEveryMs: everyMs = 30_000 } = limits
  const job = { database: database.jobs, bytes, logger, everyMs }
  const janitor = startJanitor(job)
  const collector = startCollector({ ...job, periods })
  const scrubber = startScrubber({ ...job, limits: periods })
  const refusals = new RefusalThrottle((refusal) => recordRefusal(database, refusal), logger)
  const closing = new AbortController()
  const backend = createBackend(deps, { relay, janitor, scrubber, periods, closing: closing.signal })
  return {
    services: [BlobService, UploadService, DirectService, ManifestService, ByteStream, MaintenanceService],
    routes: artifactRoutes(backend),
    authenticate: createAuthenticate(deps.trustedServices, createTokenLookup(deps.identity)),
    recordRefusal: (refusal) => refusals.report(refusal),
    zeroCopyMethods: BYTE_METHODS,
    check: async (_service, late) => {
      await requireStore({ database: database.health, bytes }, late)
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

type Started = Pick<Backend, 'relay' | 'janitor' | 'scrubber' | 'periods' | 'closing'>

function createBackend(deps: ArtifactDeps, started: Started): Backend {
  const { database, bytes, logger, limits } = deps
  const streams = new ShareLimit(limits.maxStreams ?? DEFAULT_MAX_STREAMS, 'open streams')
  return {
    uploadMinBytesPerSecond: DEFAULT_MIN_BYTES_PER_SECOND,
    ...limits,
    ...started,
    transferModes: deps.transferModes ?? 'any',
    readAudit: new ReadAudit(database, deps.downloads ?? 'manifests'),
    database,
    bytes,
    logger,
    blobCommits: new BlobCommitBatcher(database, streams),
    digests: new RunningDigests(MAX_DIGESTS),
    streams,
    budget: deps.budget ?? new ByteBudget(limits.uploadMemoryBytes, limits.budgetWaitMs ?? 5_000),
    running: new Set(),
  }
}
