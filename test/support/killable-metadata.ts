// A metadata service that tests kill, the real audit service, and a test double of the artifact service.
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { createAdminToken } from '../../services/metadata/admin-token.ts'
import { openStore } from '../../services/metadata/store/orm.ts'
import { METADATA_TOKEN, startAudit, type RunningAudit } from './audit.ts'
import { createDatabase, runSql } from './database.ts'
import { startKillableService, type KillableService } from './killable-service.ts'
import { startFakePeers, type FakePeers } from './fake-peers.ts'
import { grpcClient } from './suite.ts'

export interface KillableMetadata extends KillableService {
  admin: KillableClients
  /** Clients of a contributor. */
  alice: KillableClients
  audit: RunningAudit
  peers: FakePeers
  sql: <T extends object>(statement: string, values?: unknown[]) => Promise<T[]>
  /** Expires the claims of a killed process. */
  expireClaims: () => Promise<void>
}

export type KillableClients = ReturnType<typeof clientsOf>

export async function startKillableMetadata(): Promise<KillableMetadata> {
  const database = await createDatabase()
  const audit = await startAudit(database.url)
  const peers = await startFakePeers()
  const killable = await startKillableService('metadata', database.url, {
    SERVICE_TOKEN: METADATA_TOKEN,
    TRUSTED_SERVICES: `artifact=${'0'.repeat(64)}`,
    ARTIFACT_ADDRESS: peers.address,
    AUDIT_ADDRESS: audit.address,
    // Every frozen call holds a connection.
    DATABASE_POOL_SIZE: '40',
  })
  const store = openStore({ url: database.url })
  const admin = clientsOf(killable.address, await createAdminToken(store))
  await store.close(true)
  await admin.identity.grantRole({ principal: 'alice', namespace: 'default', role: Role.CONTRIBUTOR })
  const expireTime = timestampFromMs(Date.now() + 3_600_000)
  const { secret } = await admin.identity.createToken({ principal: 'alice', expireTime })
  const sql = async <T extends object>(statement: string, values: unknown[] = []): Promise<T[]> =>
    (await runSql(database.url, statement, values)) as T[]
  return {
    ...killable,
    admin,
    alice: clientsOf(killable.address, secret),
    audit,
    peers,
    sql,
    async expireClaims() {
      await sql('update metadata.outbox_counter set sender_until = clock_timestamp()')
      await sql('update metadata.manifest_release set due_time = now()')
    },
    async stop() {
      await killable.stop()
      await peers.close()
      await audit.close()
      await database.drop()
    },
  }
}

function clientsOf(address: string, token: string) {
  return {
    models: grpcClient(ModelService, address, token),
    versions: grpcClient(VersionService, address, token),
    aliases: grpcClient(AliasService, address, token),
    gates: grpcClient(GateService, address, token),
    promotions: grpcClient(PromotionService, address, token),
    identity: grpcClient(IdentityService, address, token),
  }
}
