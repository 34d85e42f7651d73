// google.bytestream with a foreign client written in Go, and with a service process that is killed during a write.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Health } from '#gen/health/v1/health_pb.ts'
import { ServerReflection } from '#gen/grpc/reflection/v1/reflection_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { MIB } from '../../support/artifact.ts'
import {
  beginWrite,
  blobName,
  byteStream,
  codeOf,
  queryStatus,
  readBlob,
  uploadName,
  writeBlob,
} from '../../support/byte-stream.ts'
import { makeBytes } from '../../support/bytes.ts'
import { createDatabase } from '../../support/database.ts'
import { goProgram } from '../../support/go-tool.ts'
import { startFakeIdentity } from '../../support/fake-identity.ts'
import { minioSettings } from '../../support/minio.ts'
import { grpcClient, startProcess } from '../../support/suite.ts'

const PART = 16 * MIB

async function directorySettings(): Promise<Record<string, string>> {
  const root = await mkdtemp(join(tmpdir(), 'modelkeep-byte-stream-'))
  afterAll(() => rm(root, { recursive: true, force: true }))
  return { STORE: 'directory', STORE_DIRECTORY: root }
}

describe.each([
  ['S3', minioSettings],
  ['a directory', directorySettings],
])('google.bytestream on %s', async (kind, createSettings) => {
  const settings = await createSettings()
  const program = await goProgram('byte-stream-client')
  const database = await createDatabase()
  const peer = await startFakeIdentity({ alice: { principal: 'alice', roles: { default: Role.CONTRIBUTOR } } })
  const start = () =>
    startProcess('artifact', {
      PORT: '0',
      DATABASE_URL: database.url,
      SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
      TRUSTED_SERVICES: `metadata=${'0'.repeat(64)}`,
      METADATA_ADDRESS: peer.address,
      AUDIT_ADDRESS: peer.address,
      ...settings,
    })
  let running = await start()
  afterAll(async () => {
    await running.kill()
    await peer.close()
    await database.drop()
  })

  /** Runs the Go program and returns its output. */
  async function go(command: string, name: string, input: Buffer): Promise<Buffer> {
    const address = running.address.replace('http://', '')
    return new Promise((resolve, reject) => {
      const options = { encoding: 'buffer' as const, maxBuffer: 64 * MIB }
      const child = execFile(program!, [command, address, 'alice', name], options, (error, stdout, stderr) =>
        error ? reject(new Error(stderr.toString(), { cause: error })) : resolve(stdout),
      )
      child.stdin!.on('error', () => undefined)
      child.stdin!.end(input)
    })
  }

  test(
    'serves writes and reads of a Go client, and rejects its bad requests',
    { timeout: 60_000 },
    async ({ skip }) => {
      if (!program) skip('there is no Go to build the client with')
      for (const length of [3 * MIB, 2 * PART + 5]) {
        const bytes = makeBytes(length, `go ${kind} ${length}`)
        await go('write', uploadName(bytes), bytes)
        // The service answers for an existing blob before the last byte was sent; only the generated stubs expect that.
        expect(Number(await go('resume', uploadName(bytes), bytes))).toBe(length)
        expect((await go('read', blobName(bytes), Buffer.alloc(0))).equals(bytes)).toBe(true)
      }
      const other = makeBytes(PART + 9, `go refused ${kind}`)
      await expect(go('read', blobName(other), Buffer.alloc(0))).rejects.toThrow('NotFound')
      await expect(go('write', uploadName(makeBytes(PART + 9, 'else')), other)).rejects.toThrow('InvalidArgument')
    },
  )

  test('continues a write in another process after the first was killed', { timeout: 60_000 }, async () => {
    const bytes = makeBytes(3 * PART + 5, `killed ${kind}`)
    const name = uploadName(bytes)
    const client = byteStream(running.address)
    const broken = beginWrite(client)
    await broken.send({ resource_name: name })
    for (let offset = 0; offset < 2 * PART + 3 * MIB; offset += MIB) {
      await broken.send({ write_offset: offset, data: bytes.subarray(offset, offset + MIB) })
    }
    await expect.poll(() => queryStatus(client, name).catch(() => undefined)).toMatchObject({ committed: 2 * PART })
    await running.kill()
    expect(await codeOf(broken.answer)).toBe('UNAVAILABLE')
    client.close()

    running = await start()
    const later = byteStream(running.address)
    expect(await queryStatus(later, name)).toEqual({ committed: 2 * PART, complete: false })
    const resumed = program ? Number((await go('resume', name, bytes)).toString()) : 2 * PART
    if (!program) await writeBlob(later, name, bytes, { from: resumed })
    expect(resumed).toBe(2 * PART)
    expect(await queryStatus(later, name)).toEqual({ committed: bytes.length, complete: true })
    expect((await readBlob(later, blobName(bytes))).equals(bytes)).toBe(true)
    later.close()
  })

  test('lists the service in health checks and reflection', async () => {
    const service = 'google.bytestream.ByteStream'
    expect((await grpcClient(Health, running.address, '').check({ service })).status).toBe(1)
    const answers = grpcClient(ServerReflection, running.address, '').serverReflectionInfo(
      (async function* () {
        yield { messageRequest: { case: 'listServices' as const, value: '' } }
      })(),
    )
    for await (const { messageResponse } of answers) {
      expect(JSON.stringify(messageResponse.value)).toContain(service)
    }
  })
})
