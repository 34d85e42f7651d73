// Clients that share no code with Modelkeep: grpc-js with the protos, grpcurl with reflection, and plain fetch.
import { credentials, loadPackageDefinition, Metadata, type Client, type ServiceError } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { goTool } from '../support/go-tool.ts'
import { createModel, createVersion, digestOf } from '../support/journey.ts'
import { minioSettings } from '../support/minio.ts'
import { startSuite, type Suite } from '../support/suite.ts'

let suite: Suite
const bytes = randomBytes(5 * 1024 * 1024)
beforeAll(async () => {
  suite = await startSuite(await minioSettings())
  await createModel(suite, 'vad')
  await createVersion(suite, 'vad', bytes)
})
afterAll(() => suite.stop())

type Call = (request: object, metadata: Metadata, done: (error: ServiceError | null, answer: unknown) => void) => void
type Stream = (request: object, metadata: Metadata) => AsyncIterable<{ chunk?: Buffer; header?: object }>
interface Writer {
  write(message: object): boolean
  end(): void
}
type Upload = (metadata: Metadata, done: (error: ServiceError | null, answer: unknown) => void) => Writer

function grpcJs(service: string, address: string): unknown {
  const [, area] = service.split('.')
  const file = `modelkeep/${area}/v1/${service
    .split('.')
    .at(-1)!
    .replace(/(?<=.)([A-Z])/g, '_$1')
    .toLowerCase()}.proto`
  const definition = loadSync(file, { includeDirs: ['proto'], longs: Number, enums: String, oneofs: true })
  const root = loadPackageDefinition(definition)
  const Constructor = service
    .split('.')
    .reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], root) as new (
    ...args: [string, unknown]
  ) => Client
  return new Constructor(address.replace('http://', ''), credentials.createInsecure())
}

function authorized(): Metadata {
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${suite.adminToken}`)
  return metadata
}

test('grpc-js resolves a version and streams its bytes', async () => {
  const versions = grpcJs('modelkeep.metadata.v1.VersionService', suite.processes.metadata.address) as {
    resolveVersion: Call
  }
  const answer = await new Promise<{ version: { number: number; state: string } }>((resolve, reject) =>
    versions.resolveVersion({ ref: { name: { model: 'vad', alias: 'latest' } } }, authorized(), (error, value) =>
      error ? reject(error) : resolve(value as never),
    ),
  )
  expect(answer.version).toMatchObject({ number: 1, state: 'VERSION_STATE_READY' })
  const blobs = grpcJs('modelkeep.artifact.v1.BlobService', suite.processes.artifact.address) as {
    downloadBlob: Stream
  }
  const chunks: Buffer[] = []
  for await (const { chunk } of blobs.downloadBlob({ digest: digestOf(bytes) }, authorized()))
    if (chunk) chunks.push(chunk)
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
})

test('grpc-js uploads a blob, and reads the reason and field of an error', async () => {
  const blobs = grpcJs('modelkeep.artifact.v1.BlobService', suite.processes.artifact.address) as { uploadBlob: Upload }
  const send = (digest: string) =>
    new Promise<unknown>((resolve, reject) => {
      const stream = blobs.uploadBlob(authorized(), (error, value) => (error ? reject(error) : resolve(value)))
      stream.write({ header: { digest, sizeBytes: 5 } })
      stream.write({ chunk: Buffer.from('hello') })
      stream.end()
    })
  expect(await send(digestOf(Buffer.from('hello')))).toMatchObject({ blob: { sizeBytes: 5 } })
  await expect(send('sha256:nonsense')).rejects.toMatchObject({ code: 3, details: expect.stringContaining('digest') })
  await expect(send(digestOf(Buffer.from('other')))).rejects.toMatchObject({ code: 3 })
})

test('grpcurl lists, describes and calls by reflection', async () => {
  const grpcurl = await goTool('grpcurl', 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4')
  const address = suite.processes.metadata.address.replace('http://', '')
  const run = (...args: string[]) =>
    new Promise<string>((resolve, reject) =>
      execFile(grpcurl, ['-plaintext', ...args], (error, stdout, stderr) =>
        error ? reject(new Error(stderr)) : resolve(stdout),
      ),
    )
  expect(await run(address, 'list')).toContain('modelkeep.metadata.v1.VersionService')
  expect(await run(address, 'describe', 'modelkeep.metadata.v1.VersionService.ResolveVersion')).toContain(
    'ResolveVersionRequest',
  )
  expect(await run(address, 'grpc.health.v1.Health/Check')).toContain('SERVING')
  const header = ['-H', `authorization: Bearer ${suite.adminToken}`]
  const question = JSON.stringify({ ref: { name: { model: 'vad', number: 1 } } })
  const answer = await run(...header, '-d', question, address, 'modelkeep.metadata.v1.VersionService/ResolveVersion')
  expect(JSON.parse(answer)).toMatchObject({ version: { model: 'vad', number: 1 } })
  await expect(run('-d', question, address, 'modelkeep.metadata.v1.VersionService/ResolveVersion')).rejects.toThrow(
    'Unauthenticated',
  )
})

test('plain JSON over HTTP/1.1 resolves a version', async () => {
  const response = await fetch(
    `${suite.processes.metadata.address}/modelkeep.metadata.v1.VersionService/ResolveVersion`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${suite.adminToken}` },
      body: JSON.stringify({ ref: { name: { model: 'vad', number: 1 } } }),
    },
  )
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({ version: { model: 'vad', number: 1, state: 'VERSION_STATE_READY' } })
})
