// The audit service on a real database and real sockets, and events to send to it.
import { create, type DescService, type MessageInitShape } from '@bufbuild/protobuf'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import { createClient, type Client, type Interceptor } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { generateKeyPairSync } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { EventSchema, Outcome, type Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { hashToken } from '#lib/access/authenticate.ts'
import { peerClient } from '#lib/server/peers.ts'
import { createLogger } from '#lib/process/log.ts'
import { serve } from '#lib/server/serve.ts'
import type { StoreOptions } from '#lib/store/database.ts'
import type { Cosigning } from '../../services/audit/witnesses/cosigning.ts'
import type { Retention } from '../../services/audit/domain/retention.ts'
import { auditService } from '../../services/audit/service.ts'
import { createSigner, type Signer } from '../../services/audit/signer.ts'
import { openStore } from '../../services/audit/store/orm.ts'
import type { WormSettings } from '../../services/audit/jobs/worm.ts'
import { startFakeIdentity, type KnownCaller } from './fake-identity.ts'

export const METADATA_TOKEN = `mks_metadata_${'m'.repeat(40)}`
export const ARTIFACT_TOKEN = `mks_artifact_${'a'.repeat(40)}`
/** The token of a reader of all namespaces. */
export const PLATFORM_TOKEN = 'mk_platform'

export interface RunningAudit {
  address: string
  /** The callers that the metadata service knows, keyed by token; a test may change them at any time. */
  known: Map<string, KnownCaller>
  draining: AbortController
  client<S extends DescService>(service: S, token: string): Client<S>
  ingest: Client<typeof IngestService>
  log: Client<typeof LogService>
  proofs: Client<typeof ProofService>
  /** Number of calls that the zero-copy handler has answered. */
  zeroCopyCalls(): number
  close(): Promise<void>
}

export interface AuditInit {
  signer?: Signer
  cosigning?: Cosigning
  worm?: WormSettings
  privateDetails?: string[]
  retention?: Retention
  expireEveryMs?: number
  /** `general`: the general adapter serves all calls. */
  framing?: 'general'
  /** Called with every log line. */
  logs?: string[]
  checkWithinMs?: number
  maxStreams?: number
  store?: Omit<StoreOptions, 'url'>
}

export async function startAudit(
  databaseUrl: string,
  {
    signer,
    cosigning,
    worm,
    framing,
    logs,
    privateDetails,
    retention,
    expireEveryMs,
    checkWithinMs,
    maxStreams,
    store,
  }: AuditInit = {},
): Promise<RunningAudit> {
  const peer = await startFakeIdentity({ [PLATFORM_TOKEN]: { principal: 'root', roles: { '*': Role.READER } } })
  const identity = peerClient(IdentityService, { name: 'metadata', address: peer.address, token: 'mks_audit' })
  const logger = logs
    ? createLogger('audit', 'info', { write: (line: string) => void logs.push(line) })
    : createLogger('audit', 'silent')
  const draining = new AbortController()
  const trustedServices = new Map(
    [
      [METADATA_TOKEN, 'metadata'],
      [ARTIFACT_TOKEN, 'artifact'],
    ].map(([token, name]): [string, string] => [hashToken(token!).toString('hex'), name!]),
  )
  const database = openStore({ url: databaseUrl, ...store })
  const service = auditService({
    database,
    logger,
    draining: draining.signal,
    trustedServices,
    identity,
    signer,
    ...(privateDetails && { privateDetails }),
    cosigning,
    worm,
    retention,
    expireEveryMs,
    maxStreams,
  })
  const zeroCopyMethods = framing === 'general' ? [] : service.zeroCopyMethods!
  // Tests see a change of health at once.
  const serving = { ...service, zeroCopyMethods, logger, draining: draining.signal, checkWithinMs, healthCachedMs: 0 }
  const served = await serve(serving, { host: '127.0.0.1', port: 0 })
  const address = `http://127.0.0.1:${served.port}`
  const client = <S extends DescService>(descriptor: S, token: string): Client<S> =>
    createClient(descriptor, createGrpcTransport({ baseUrl: address, interceptors: [bearer(token)] }))
  return {
    address,
    known: peer.callers,
    draining,
    client,
    ingest: client(IngestService, METADATA_TOKEN),
    log: client(LogService, PLATFORM_TOKEN),
    proofs: client(ProofService, PLATFORM_TOKEN),
    zeroCopyCalls: () => served.zeroCopy.calls,
    async close() {
      draining.abort()
      await served.close(200)
      await service.close()
      await peer.close()
    },
  }
}

/** Returns a signer with a new key. */
export function makeSigner(origin = 'log.example/test', stateFile?: string): Signer {
  return createSigner(origin, [generateKeyPairSync('ed25519').privateKey], stateFile)
}

function bearer(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`)
    return next(request)
  }
}

type EventInit = Exclude<MessageInitShape<typeof EventSchema>, Event>

/** An event as the metadata service sends it. */
export function makeEvent(sequence: number, init: EventInit = {}): Event {
  const event: EventInit = {
    id: uuidv7(),
    producer: 'metadata',
    sequence: BigInt(sequence),
    // No rule is about this type.
    type: 'version.noted.v1',
    occurTime: timestampFromDate(new Date()),
    actor: { principal: 'alice', method: 'token', credentialId: '0191d3a0-0000-7000-8000-000000000000' },
    resource: { type: 'version', id: uuidv7(), namespace: 'fraud', name: `fraud/scorer:${sequence}` },
    reason: 'a better recall',
    outcome: Outcome.SUCCEEDED,
    requestId: 'r-1',
  }
  return create(EventSchema, { ...event, ...init })
}

/** Returns `count` events; `first` is the sequence of the first one. */
export function makeEvents(first: number, count: number, init: EventInit = {}): Event[] {
  return Array.from({ length: count }, (_, position) => makeEvent(first + position, init))
}
