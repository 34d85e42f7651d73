// The peers of the metadata service on a real socket: an artifact service that has every manifest except the missing ones,
// and an audit service that accepts every event. Tests of several services use the real peers.
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import type { Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { peerClient } from '#lib/server/peers.ts'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { toConnectError } from '#lib/errors/connect-error.ts'

export const MANIFEST_BYTES = 2_345_678n
export const MANIFEST_FILES = 3

export interface FakePeers {
  address: string
  /** Digests of manifests that the artifact service does not have. */
  missing: Set<string>
  /** Digests by the id of the version that retains them. */
  retained: Map<string, string>
  /** All calls so far: `retain <version id>`, `release <version id>`. */
  calls: string[]
  /** Whether the artifact service fails every call. */
  artifactDown: boolean
  /** Whether the audit service fails every call. */
  auditDown: boolean
  /** Called before a retention is answered. */
  onRetain: (versionId: string) => Promise<void> | void
  /** The events that the audit service received. */
  events: Event[]
  clients(): { manifests: ReturnType<typeof manifestClient>; ingest: ReturnType<typeof ingestClient> }
  close(): Promise<void>
}

export async function startFakePeers(): Promise<FakePeers> {
  const state = {
    missing: new Set<string>(),
    retained: new Map<string, string>(),
    calls: [] as string[],
    artifactDown: false,
    auditDown: false,
    onRetain: (() => {}) as FakePeers['onRetain'],
    events: [] as Event[],
  }
  const server = createServer(connectNodeAdapter({ routes: (router) => routeFakePeers(router, state) }))
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.assign(state, {
    address,
    clients: () => ({ manifests: manifestClient(address), ingest: ingestClient(address) }),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const session of sessions) session.destroy()
      }),
  })
}

type State = Pick<FakePeers, 'missing' | 'retained' | 'calls' | 'artifactDown' | 'auditDown' | 'onRetain' | 'events'>
type Router = Parameters<Parameters<typeof connectNodeAdapter>[0]['routes']>[0]

function routeFakePeers(router: Router, state: State): void {
  router.service(ManifestService, {
    async retainManifest({ digest, versionId }) {
      state.calls.push(`retain ${versionId}`)
      if (state.artifactDown) throw rejection('DEPENDENCY_UNAVAILABLE')
      if (state.missing.has(digest)) throw rejection('MANIFEST_NOT_FOUND', { digest })
      state.retained.set(versionId, digest)
      await state.onRetain(versionId)
      return { totalSizeBytes: MANIFEST_BYTES, fileCount: MANIFEST_FILES }
    },
    releaseManifest({ versionId }) {
      state.calls.push(`release ${versionId}`)
      if (state.artifactDown) throw rejection('DEPENDENCY_UNAVAILABLE')
      state.retained.delete(versionId)
      return {}
    },
  })
  router.service(IngestService, {
    appendEvents({ events }) {
      if (state.auditDown) throw rejection('DEPENDENCY_UNAVAILABLE')
      state.events.push(...events)
      return { indexes: [], nextSequence: (events.at(-1)?.sequence ?? 0n) + 1n }
    },
  })
}

function rejection(reason: 'DEPENDENCY_UNAVAILABLE' | 'MANIFEST_NOT_FOUND', metadata: Record<string, string> = {}) {
  return toConnectError(new ModelkeepError(reason, 'the peer rejects the call', metadata))
}

const TOKEN = `mks_${'s'.repeat(43)}`
const manifestClient = (address: string) => peerClient(ManifestService, { name: 'artifact', address, token: TOKEN })
const ingestClient = (address: string) => peerClient(IngestService, { name: 'audit', address, token: TOKEN })
