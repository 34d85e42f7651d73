// The log, a service that sends to it, and their database. A test can kill each and start it again.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { formatVerifierKey } from '#lib/tlog/note.ts'
import { createAdminToken } from '../../services/metadata/admin-token.ts'
import { openStore } from '../../services/metadata/store/orm.ts'
import { freePort } from '../../services/standalone/postgres.ts'
import { closeSql } from './database.ts'
import { startKillablePostgres, type Killable } from './killable.ts'
import { grpcClient, startProcess, type RunningProcess } from './suite.ts'

const ORIGIN = 'log.example/kill'
export const VICTIMS = ['audit', 'metadata', 'postgres'] as const

export interface World {
  databaseUrl: string
  vkey: string
  adminToken: string
  artifactToken: string
  addresses: { metadata: string; audit: string }
  victims: Record<(typeof VICTIMS)[number], Killable>
  stop(): Promise<void>
}

/** `reach` returns the database URL for each service, for example that of a proxy. */
export async function openWorld(
  reach: (name: 'metadata' | 'audit', databaseUrl: string) => Promise<string> = async (_name, url) => url,
): Promise<World> {
  const postgres = await startKillablePostgres(['metadata', 'audit'])
  const { privateKey } = generateKeyPairSync('ed25519')
  const [metadataToken, artifactToken, auditToken] = ['m', 'r', 'a'].map(
    () => `mks_${randomBytes(32).toString('base64url')}`,
  )
  const [metadataPort, auditPort] = [await freePort(), await freePort()]
  const addresses = { metadata: `http://127.0.0.1:${metadataPort}`, audit: `http://127.0.0.1:${auditPort}` }
  const trust = (...pairs: [string, string][]): string =>
    pairs.map(([name, token]) => `${name}=${createHash('sha256').update(token).digest('hex')}`).join(',')
  const common = { HOST: '127.0.0.1', DRAIN_SECONDS: '5' }
  const metadata = service('metadata', {
    ...common,
    DATABASE_URL: await reach('metadata', postgres.url),
    PORT: String(metadataPort),
    SERVICE_TOKEN: metadataToken!,
    TRUSTED_SERVICES: trust(['audit', auditToken!], ['artifact', artifactToken!]),
    // No artifact service runs, because the test creates only models.
    ARTIFACT_ADDRESS: `http://127.0.0.1:${await freePort()}`,
    AUDIT_ADDRESS: addresses.audit,
  })
  const audit = service('audit', {
    ...common,
    DATABASE_URL: await reach('audit', postgres.url),
    PORT: String(auditPort),
    SERVICE_TOKEN: auditToken!,
    TRUSTED_SERVICES: trust(['metadata', metadataToken!], ['artifact', artifactToken!]),
    METADATA_ADDRESS: addresses.metadata,
    AUDIT_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    AUDIT_ORIGIN: ORIGIN,
  })
  await Promise.all([metadata.start(), audit.start()])
  const store = openStore({ url: postgres.url })
  const adminToken = await createAdminToken(store)
  await store.close(true)
  return {
    databaseUrl: postgres.url,
    vkey: formatVerifierKey(ORIGIN, privateKey),
    adminToken,
    artifactToken: artifactToken!,
    addresses,
    victims: { metadata, audit, postgres },
    async stop() {
      await Promise.all([metadata.stop(), audit.stop()])
      await closeSql(postgres.url)
      await postgres.stop()
    },
  }
}

function service(name: 'metadata' | 'audit', settings: Record<string, string>): Killable {
  let running: RunningProcess | undefined
  const kill = async (): Promise<void> => running?.kill()
  return { kill, stop: kill, start: async () => void (running = await startProcess(name, settings)) }
}

export function proofsOf({ addresses, adminToken }: World) {
  return grpcClient(ProofService, addresses.audit, adminToken)
}
