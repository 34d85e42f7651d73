// Manifests of the largest size: other callers are answered while one is created and read.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService, type CreateManifestResponse } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { blobMessages, digestOf } from '../../support/bytes.ts'
import { createDatabase } from '../../support/database.ts'
import { startFakeIdentity } from '../../support/fake-identity.ts'
import { measureWaits } from '../../support/health-waits.ts'
import { refusalOf } from '../../support/refusal.ts'
import { grpcClient, startProcess } from '../../support/suite.ts'

/** About 4 MiB, the limit of a request. */
const FILES = 45_000
/** Far longer than a turn of the service takes, because other tests use the processors, too. */
const MAX_WAIT_MS = 3_000

const peer = await startFakeIdentity({ alice: { principal: 'alice', roles: { default: Role.CONTRIBUTOR } } })
const directory = await mkdtemp(join(tmpdir(), 'modelkeep-manifests-'))
const database = await createDatabase()
// A process of its own, so that the work of this client does not delay the service.
const artifact = await startProcess('artifact', {
  PORT: '0',
  DATABASE_URL: database.url,
  SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
  TRUSTED_SERVICES: `metadata=${'0'.repeat(64)}`,
  METADATA_ADDRESS: peer.address,
  AUDIT_ADDRESS: peer.address,
  STORE: 'directory',
  STORE_DIRECTORY: directory,
})
const manifests = grpcClient(ManifestService, artifact.address, 'alice')
const bytes = Buffer.from('shard')
await grpcClient(BlobService, artifact.address, 'alice').uploadBlob(blobMessages(bytes))
const fileAt = (path: string) => ({ path, digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) })

afterAll(async () => {
  await artifact.kill()
  await peer.close()
  await database.drop()
  await rm(directory, { recursive: true })
})

const longestWait = (work: () => Promise<unknown>) => measureWaits(artifact.address, work)

test('others are answered while a manifest of 45,000 files is created and read', { timeout: 120_000 }, async () => {
  const files = Array.from({ length: FILES }, (_, index) => fileAt(`${index % 64}/${index}`))
  let created: CreateManifestResponse | undefined
  const create = async () => (created = await manifests.createManifest({ files }))
  expect(await longestWait(create)).toBeLessThan(MAX_WAIT_MS)
  const { digest, content, files: listed } = created!.manifest!
  expect(listed).toHaveLength(FILES)
  expect(digestOf(content)).toBe(digest)
  const read = async () => expect((await manifests.getManifest({ digest })).manifest!.files).toEqual(listed)
  expect(await longestWait(read)).toBeLessThan(MAX_WAIT_MS)
})

test.each(['CreateManifest', 'GetManifest'])('%s rejects a manifest that is too large for JSON', async (method) => {
  const files = Array.from({ length: 20_000 }, (_, index) => fileAt(`json/${index}`))
  const listed = files.map((file) => ({ ...file, sizeBytes: String(file.sizeBytes) }))
  const request = method === 'CreateManifest' ? { files: listed } : await digestOfManifest(files)
  const body = JSON.stringify(request)
  const headers = { 'content-type': 'application/json', authorization: 'Bearer alice' }
  const response = await fetch(`${artifact.address}/modelkeep.artifact.v1.ManifestService/${method}`, {
    method: 'POST',
    headers,
    body,
  })
  const limit = 'manifest.content must have at most 4194304 bytes in a JSON response'
  expect(response.status).toBe(400)
  expect(((await response.json()) as { message: string }).message).toContain(limit)
})

async function digestOfManifest(files: ReturnType<typeof fileAt>[]): Promise<{ digest: string }> {
  return { digest: (await manifests.createManifest({ files })).manifest!.digest }
}

test('3,500 paths of 505 segments are rejected at once', async () => {
  const files = Array.from({ length: 3_500 }, (_, index) => fileAt(`${index}${'/d'.repeat(504)}`))
  const create = async () =>
    expect(await refusalOf(manifests.createManifest({ files }))).toMatchObject({
      reason: 'FIELD_INVALID',
      fields: ['files[0].path'],
      message: 'files[0].path must have at most 32 segments',
    })
  expect(await longestWait(create)).toBeLessThan(MAX_WAIT_MS)
})
