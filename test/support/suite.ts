// The three services as users run them: separate processes, real sockets, real PostgreSQL, real MinIO.
import { createClient, type Client } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import type { DescService } from '@bufbuild/protobuf'
import { createHash, randomBytes } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { openStore } from '../../services/metadata/store/orm.ts'
import { createAdminToken } from '../../services/metadata/admin-token.ts'
import { SERVICE_NAMES, type ServiceName } from '../../services/lib/process/settings.ts'
import { compileCache } from './compile-cache.ts'
import { createDatabase } from './database.ts'

export interface RunningProcess {
  address: string
  pid: number
  /** All lines that the process logged. */
  logs: string[]
  kill(): Promise<void>
  terminate(): Promise<number | null>
}

export interface Suite {
  databaseUrl: string
  adminToken: string
  serviceTokens: Record<ServiceName, string>
  processes: Record<ServiceName, RunningProcess>
  client<S extends DescService>(service: S, options?: { token?: string; address?: string }): Client<S>
  /** Kills the process with SIGKILL. */
  kill(name: ServiceName): Promise<void>
  /** Starts the process again with the same address. */
  start(name: ServiceName): Promise<void>
  /** Starts one more replica of a service, with additional settings if given. It stops with the suite. */
  addReplica(name: ServiceName, more?: Record<string, string>): Promise<RunningProcess>
  /** Environment variables for the CLI and other child processes. */
  environment: Record<string, string>
  stop(): Promise<void>
}

/** `store` has the settings of the byte store, for example MinIO's. `reach` returns the database URL for each service, for
 * example that of a proxy. */
export async function startSuite(
  store: Record<string, string>,
  reach: (name: ServiceName, databaseUrl: string) => Promise<string> = async (_name, url) => url,
): Promise<Suite> {
  const database = await createDatabase()
  const ways = await Promise.all(SERVICE_NAMES.map((name) => reach(name, database.url)))
  const ports = await freePorts(SERVICE_NAMES.length)
  const tokens = SERVICE_NAMES.map(() => `mks_${randomBytes(32).toString('base64url')}`)
  const addresses = SERVICE_NAMES.map((_, index) => `http://127.0.0.1:${ports[index]}`)
  const settings = (name: ServiceName, port: number): Record<string, string> => ({
    HOST: '127.0.0.1',
    PORT: String(port),
    DRAIN_SECONDS: '10',
    DATABASE_URL: ways[SERVICE_NAMES.indexOf(name)]!,
    SERVICE_TOKEN: tokens[SERVICE_NAMES.indexOf(name)]!,
    TRUSTED_SERVICES: trusted(name, tokens),
    ...(name === 'metadata' ? {} : { METADATA_ADDRESS: addresses[0]! }),
    ...(name === 'metadata' ? { ARTIFACT_ADDRESS: addresses[1]! } : {}),
    ...(name === 'audit' ? {} : { AUDIT_ADDRESS: addresses[2]! }),
    ...(name === 'artifact' ? store : {}),
  })
  const processes = {} as Record<ServiceName, RunningProcess>
  const replicas: RunningProcess[] = []
  const start = async (name: ServiceName): Promise<void> => {
    processes[name] = await startProcess(name, settings(name, ports[SERVICE_NAMES.indexOf(name)]!))
  }
  await Promise.all(SERVICE_NAMES.map(start))
  const adminToken = await makeAdminToken(database.url)
  const environment = {
    MODELKEEP_METADATA_ADDRESS: addresses[0]!,
    MODELKEEP_ARTIFACT_ADDRESS: addresses[1]!,
    MODELKEEP_AUDIT_ADDRESS: addresses[2]!,
    MODELKEEP_TOKEN: adminToken,
  }
  return {
    databaseUrl: database.url,
    adminToken,
    serviceTokens: { metadata: tokens[0]!, artifact: tokens[1]!, audit: tokens[2]! },
    processes,
    environment,
    client(service, options = {}) {
      const name = SERVICE_NAMES.find((candidate) => service.typeName.startsWith(`modelkeep.${candidate}.`))!
      return grpcClient(service, options.address ?? processes[name].address, options.token ?? adminToken)
    },
    kill: (name) => processes[name].kill(),
    start,
    async addReplica(name, more = {}) {
      const [port] = await freePorts(1)
      const replica = await startProcess(name, { ...settings(name, port!), ...more })
      replicas.push(replica)
      return replica
    },
    async stop() {
      for (const { logs } of [...Object.values(processes), ...replicas]) {
        for (const line of logs.filter((entry) => entry.includes('"message":"internal error"'))) console.error(line)
      }
      await Promise.all([...Object.values(processes), ...replicas].map((running) => running.kill()))
      await database.drop()
    },
  }
}

export function grpcClient<S extends DescService>(service: S, address: string, token: string): Client<S> {
  const transport = createGrpcTransport({
    baseUrl: address,
    acceptCompression: [],
    interceptors: [
      (next) => (request) => {
        request.header.set('authorization', `Bearer ${token}`)
        return next(request)
      },
    ],
  })
  return createClient(service, transport)
}

/** `program` replaces the service, for example by one with wrapped functions. */
export async function startProcess(
  name: ServiceName,
  settings: Record<string, string>,
  program = ['services/main.ts', name],
): Promise<RunningProcess> {
  const child = spawn(process.execPath, program, {
    env: { PATH: process.env['PATH'], ...compileCache(), ...settings },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const logs: string[] = []
  const port = await servingPort(child, logs)
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (!ended()) {
      const exit = once(child, 'exit')
      child.kill(signal)
      await exit
    }
    return child.exitCode
  }
  return {
    address: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    logs,
    kill: async () => void (await end('SIGKILL')),
    terminate: () => end('SIGTERM'),
  }
}

function servingPort(child: ChildProcess, logs: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stderr! }).on('line', (line) => {
      logs.push(line)
      if (line.includes('"message":"serving"')) resolve((JSON.parse(line) as { port: number }).port)
    })
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`ended with ${code}:\n${logs.join('\n')}`)))
  })
}

function trusted(name: ServiceName, tokens: string[]): string {
  const others = SERVICE_NAMES.filter((other) => other !== name)
  const hash = (other: ServiceName) => createHash('sha256').update(tokens[SERVICE_NAMES.indexOf(other)]!).digest('hex')
  return others.map((other) => `${other}=${hash(other)}`).join(',')
}

async function makeAdminToken(url: string): Promise<string> {
  const store = openStore({ url })
  try {
    return await createAdminToken(store)
  } finally {
    await store.close(true)
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
