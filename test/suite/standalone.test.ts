// `npm start` as users run it: a process of its own on a directory of its own.
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect'
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node'
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test, vi } from 'vitest'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { runCli } from '../support/cli.ts'
import { copyPreparedData } from '../support/prepared-data.ts'
import { bearer, clusterOf, end, isAlive, launch, REPOSITORY, running, start } from '../support/standalone.ts'

const isRoot = process.getuid?.() === 0

const home = await mkdtemp(join(tmpdir(), 'modelkeep-standalone-'))
await chmod(home, 0o755)
afterAll(async () => {
  for (const child of running) await end(child, 'SIGTERM')
  await rm(home, { recursive: true, force: true })
})

const directory = join(home, 'data')

test('starts in an empty directory, prints its paths, and serves every protocol on one address', async () => {
  const server = await start(directory)
  const tokenFile = join(directory, 'admin-token')
  await vi.waitFor(() => expect(server.said()).toContain(server.address))
  expect(server.said()).toContain(tokenFile)
  expect(server.said()).toContain(`MODELKEEP_DATA=${directory} npx modelkeep push`)
  expect((await stat(tokenFile)).mode & 0o777).toBe(0o600)
  expect((await stat(join(directory, 'audit.key'))).mode & 0o777).toBe(0o600)
  expect(server.said()).toContain(join(directory, 'audit.vkey'))
  expect((await stat(directory)).mode & 0o777).toBe(isRoot ? 0o711 : 0o700)
  const options = { baseUrl: server.address, interceptors: [bearer(server.token)] }
  const transports: Transport[] = [
    createGrpcTransport(options),
    createGrpcWebTransport({ ...options, httpVersion: '1.1' }),
    createConnectTransport({ ...options, httpVersion: '1.1', useBinaryFormat: false }),
    createConnectTransport({ ...options, httpVersion: '2' }),
  ]
  for (const transport of transports) {
    const { principal, roles } = await createClient(IdentityService, transport).whoAmI({})
    expect([principal, roles.map(({ namespace }) => namespace)]).toEqual(['admin', ['*']])
  }
  await createClient(ModelService, transports[0]!).createModel({ name: 'scorer' })
  const log = createClient(LogService, transports[0]!)
  const types = async () => (await log.listEntries({ orderBy: 'index' })).entries.map(({ event }) => event!.type)
  await vi.waitFor(async () => expect(await types()).toContain('model.created.v1'), 10_000)
  expect(await (await fetch(`${server.address}/healthz`)).text()).toBe('serving\n')
  const key = join(directory, 'audit.vkey')
  const watching = ['--key', key, '--state', join(home, 'seen'), '--once']
  const monitor = (token: object) =>
    runCli(['audit', 'monitor', server.address.replace('127.0.0.1', 'localhost'), ...watching], {
      MODELKEEP_DATA: directory,
      ...token,
    })
  await vi.waitFor(async () => expect(await monitor({})).toMatchObject({ code: 0 }), 20_000)
  const refused = await monitor({ MODELKEEP_TOKEN: 'mk_nobodys' })
  expect(refused.code).toBe(2)
  expect(refused.err).toContain('token is missing or not accepted (--token, MODELKEEP_TOKEN)')
  expect(server.logged()).toBe('')
})

test('rejects callers without a valid token, and records denials per service', async () => {
  const { address } = JSON.parse(await readFile(join(directory, 'server.json'), 'utf8')) as { address: string }
  const ask = (service: string, authorization?: string) =>
    fetch(`${address}/modelkeep.${service}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(authorization ? { authorization } : {}) },
      body: '{}',
    })
  for (const service of ['metadata.v1.IdentityService/WhoAmI', 'audit.v1.LogService/ListEntries']) {
    expect((await ask(service)).status).toBe(401)
    expect((await ask(service, 'Bearer mk_wrong')).status).toBe(401)
    expect((await ask(service, 'Bearer mks_wrong')).status).toBe(401)
  }
  const token = (await readFile(join(directory, 'admin-token'), 'utf8')).trim()
  const admin = `Bearer ${token}`
  expect((await ask('audit.v1.IngestService/AppendEvents', admin)).status).toBe(403)
  expect((await ask('metadata.v1.IdentityService/AuthenticateToken', admin)).status).toBe(403)
  const log = createClient(LogService, createGrpcTransport({ baseUrl: address, interceptors: [bearer(token)] }))
  const producers = async () => {
    const { entries } = await log.listEntries({ filter: 'type = access.denied.v1' })
    return entries.map(({ event }) => event!.producer).toSorted()
  }
  await vi.waitFor(async () => expect(await producers()).toEqual(['audit', 'metadata']), 10_000)
})

test('does not start on a directory or an address in use', async () => {
  const second = launch(directory)
  expect(await second.exit).toBe(1)
  expect(second.logged()).toMatch(/data directory .* is in use by process \d+/)
  const taken = createServer()
  await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening))
  const { port } = taken.address() as AddressInfo
  const other = join(home, 'other')
  await copyPreparedData(other)
  const refused = launch(other, { args: ['--port', String(port)] })
  expect(await refused.exit).toBe(1)
  expect(refused.logged()).toContain(`127.0.0.1:${port} is in use`)
  await new Promise((closed) => taken.close(closed))
  await expect(stat(join(other, 'server.json'))).rejects.toThrow('ENOENT')
  await expect(stat(join(other, 'lock'))).rejects.toThrow('ENOENT')
})

/** The command as users run it, from its sources. It finds server and token by itself. */
const modelkeep = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['clients/cli/modelkeep.ts', ...args], {
    cwd: REPOSITORY,
    env: { PATH: process.env['PATH'], MODELKEEP_DATA: directory },
  })

test('restarts with all data after it was killed', async () => {
  const bytes = randomBytes(3_000_000)
  await writeFile(join(home, 'weights.bin'), bytes)
  await modelkeep('push', join(home, 'weights.bin'), 'vad')
  const [child] = running
  const first = await clusterOf(directory)
  await end(child!, 'SIGKILL')
  const server = await start(directory)
  expect(await clusterOf(directory)).not.toBe(first)
  expect(isAlive(first)).toBe(false)
  const { models } = await createClient(ModelService, server.transport).listModels({})
  expect(models.map(({ name }) => name).toSorted()).toEqual(['scorer', 'vad'])
  await modelkeep('audit', 'export', join(home, 'log.jsonl'))
  const { stdout } = await modelkeep('audit', 'verify', join(home, 'log.jsonl'), '--key', join(directory, 'audit.vkey'))
  expect(stdout).toMatch(/^verified: \d+ entries of modelkeep\.localhost\//)
  await modelkeep('pull', 'vad:1', join(home, 'pulled'))
  expect((await readFile(join(home, 'pulled', 'weights.bin'))).equals(bytes)).toBe(true)
})

test('drains on SIGINT: watches end, PostgreSQL stops, and no lock is left', async () => {
  const [child] = running
  await end(child!, 'SIGKILL')
  const server = await start(directory)
  const postgres = await clusterOf(directory)
  let seen = 0
  const watch = async () => {
    for await (const message of createClient(LogService, server.transport).watchEntries({}))
      seen += message.entries.length
  }
  const watched = watch().catch((error: unknown) => Code[ConnectError.from(error).code])
  await vi.waitFor(() => expect(seen).toBeGreaterThan(2), 10_000)
  server.child.kill('SIGINT')
  server.child.kill('SIGINT')
  expect(await watched).toBe('Unavailable')
  expect(await server.exit).toBe(0)
  expect(isAlive(postgres)).toBe(false)
  for (const name of ['server.json', 'lock']) await expect(stat(join(directory, name))).rejects.toThrow('ENOENT')
})

test('exits with a clear message when PostgreSQL dies', async () => {
  const server = await start(directory)
  process.kill(await clusterOf(directory), 'SIGKILL')
  expect(await server.exit).toBe(1)
  expect(server.logged()).toContain('PostgreSQL ended unexpectedly')
  await expect(stat(join(directory, 'server.json'))).rejects.toThrow('ENOENT')
  const again = await start(directory)
  expect((await createClient(ModelService, again.transport).listModels({})).models.length).toBe(2)
  await end(again.child, 'SIGTERM')
})

test('stops with the npm process that started it', async () => {
  const data = join(home, 'by npm')
  await copyPreparedData(data)
  const npm = spawn('npm', ['start', '--', '--data', data, '--port', '0'], { cwd: REPOSITORY })
  const server = join(data, 'server.json')
  const read = async () => JSON.parse(await readFile(server, 'utf8')) as { pid: number }
  const { pid } = await vi.waitFor(read, { timeout: 60_000, interval: 50 })
  npm.kill('SIGTERM')
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 30_000, interval: 50 })
})
