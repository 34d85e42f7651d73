// The environment of a soak: two replicas of the artifact service, one of which is killed repeatedly, on a store that fails at
// random.
import type { Client } from '@connectrpc/connect'
import type { DescService } from '@bufbuild/protobuf'
import { readdir, readFile } from 'node:fs/promises'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { hashToken } from '../../services/lib/access/authenticate.ts'
import { freePort } from '../../services/standalone/postgres.ts'
import { startChaosS3, type ChaosS3 } from '../support/chaos-s3.ts'
import { drawFault } from '../support/chaos-faults.ts'
import { runSql } from '../support/database.ts'
import { startFakeIdentity } from '../support/fake-identity.ts'
import type { S3Access } from '../support/minio-server.ts'
import { createBucketOn, type TestBucket } from '../support/minio.ts'
import type { Random } from '../support/random.ts'
import { grpcClient, startProcess, type RunningProcess } from '../support/suite.ts'

export interface World {
  chaos: ChaosS3
  bucket: TestBucket
  sql<T extends object>(statement: string): Promise<T[]>
  databaseUrl: string
  /** Increases before and after all leases are expired, so it is odd meanwhile. */
  age: number
  /** Returns a client of a random replica, with the token of the metadata service. */
  metadata<S extends DescService>(service: S): Client<S>
  /** Returns a client of a random replica. */
  client<S extends DescService>(service: S): Client<S>
  /** The address of the replica that is never killed. */
  steadyAddress: string
  /** Stops the other replica with SIGKILL or SIGTERM, and starts it again. */
  restart(): Promise<void>
  /** Measures the replica that is never killed. */
  measure(): Promise<Measure>
  /** Stops the failures of the store. */
  heal(): void
  stop(): Promise<void>
}

export interface Measure {
  rssMebibytes: number
  handles: number
}

/** The share of failing requests to the store. */
const FAULTY = 0.06
export const TOKEN = 'soak'
const METADATA_TOKEN = `mks_${'b'.repeat(40)}`

export async function startWorld(databaseUrl: string, access: S3Access, random: Random): Promise<World> {
  const bucket = await createBucketOn(access)
  const chaos = await startChaosS3(access.endpoint)
  chaos.decide = (operation) => drawFault(random, FAULTY, operation)
  const peer = await startFakeIdentity({ [TOKEN]: { principal: TOKEN, roles: { '*': Role.ADMIN } } })
  const settings = {
    HOST: '127.0.0.1',
    DATABASE_URL: databaseUrl,
    SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
    TRUSTED_SERVICES: `metadata=${hashToken(METADATA_TOKEN).toString('hex')}`,
    METADATA_ADDRESS: peer.address,
    AUDIT_ADDRESS: peer.address,
    UPLOAD_MEMORY_MIB: '128',
    DRAIN_SECONDS: '5',
    STORE: 's3',
    S3_ENDPOINT: chaos.address,
    S3_BUCKET: bucket.options.bucket,
    S3_ACCESS_KEY: access.accessKey,
    S3_SECRET_KEY: access.secretKey,
  }
  const start = async (port: number) => startProcess('artifact', { ...settings, PORT: String(port) })
  const [steady, port] = [await start(await freePort()), await freePort()]
  let killed: RunningProcess = await start(port)
  const clients = new Map<string, unknown>()
  const find = <S extends DescService>(service: S, token: string): Client<S> => {
    const { address } = random.pick([steady, killed])
    const name = `${address} ${service.typeName} ${token}`
    if (!clients.has(name)) clients.set(name, grpcClient(service, address, token))
    return clients.get(name) as Client<S>
  }
  return {
    chaos,
    bucket,
    sql: (statement) => runSql(databaseUrl, statement) as never,
    databaseUrl,
    age: 0,
    metadata: (service) => find(service, METADATA_TOKEN),
    client: (service) => find(service, TOKEN),
    steadyAddress: steady.address,
    async restart() {
      await (random.below(2) === 0 ? killed.kill() : killed.terminate())
      killed = await start(port)
    },
    measure: () => measure(steady.pid),
    heal: () => void (chaos.decide = () => undefined),
    async stop() {
      await Promise.all([steady.kill(), killed.kill()])
      await peer.close()
      await chaos.close()
      await bucket.drop()
    },
  }
}

async function measure(pid: number): Promise<Measure> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const handles = await readdir(`/proc/${pid}/fd`)
  return { rssMebibytes: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024), handles: handles.length }
}
