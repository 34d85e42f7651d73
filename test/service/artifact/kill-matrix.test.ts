// SIGKILL at each step of an upload; the client continues with another instance, running or newly started.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { MIB } from '../../support/artifact.ts'
import {
  blobMessages,
  chunkMessages,
  digestOf,
  download,
  makeBytes,
  partOf,
  sha256,
  startUpload,
} from '../../support/bytes.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { startFakeIdentity } from '../../support/fake-identity.ts'
import { PLACES } from '../../support/places.ts'
import { grpcClient, startProcess, type RunningProcess } from '../../support/suite.ts'

const PROGRAM = ['test/support/freezing-artifact.ts']
const STREAMS = 3
const IN_ORDER = [1, 2, 3]
/** An order in which the blob must be read back. */
const BACKWARDS = [3, 2, 1]

const STEPS: [string, string, number[]][] = [
  ['after the session was recorded', 'before begin', IN_ORDER],
  ['after the store began an object', 'after begin', IN_ORDER],
  ['in the middle of a part', 'never', IN_ORDER],
  ['before the store was given a part', 'before putPart', IN_ORDER],
  ['after the store took a part', 'after putPart', IN_ORDER],
  ['after a part was recorded', 'part recorded', IN_ORDER],
  ['after SEALING', 'sealed', IN_ORDER],
  ['after COMPLETING, before the request to the store', 'before complete', IN_ORDER],
  ['after the store put the parts together', 'after complete', IN_ORDER],
  ['in the middle of VERIFYING', 'in read', BACKWARDS],
  ['after the blob was recorded, before the answer', 'committed', IN_ORDER],
]

describe.each(PLACES)('a service killed on %s', { timeout: 120_000 }, async (kind, createPlace) => {
  const place = await createPlace()
  const database = await createDatabase()
  const peer = await startFakeIdentity({ alice: { principal: 'alice', roles: { default: Role.CONTRIBUTOR } } })
  const start = (step: string) => {
    const settings = {
      PORT: '0',
      DATABASE_URL: database.url,
      SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
      TRUSTED_SERVICES: `metadata=${'0'.repeat(64)}`,
      METADATA_ADDRESS: peer.address,
      AUDIT_ADDRESS: peer.address,
      FREEZE_AT: step,
      ...place.settings,
    }
    return startProcess('artifact', settings, PROGRAM)
  }
  let survivor: RunningProcess
  beforeAll(async () => {
    survivor = await start('never')
  })
  afterAll(async () => {
    await survivor.kill()
    await peer.close()
    await database.drop()
    await place.drop()
  })
  const sql = <T extends object>(statement: string, parameters: unknown[] = []) =>
    runSql(database.url, statement, parameters) as Promise<T[]>

  /** Kills the service at the step, and expires its lease. */
  async function killAt(victim: RunningProcess, isThere: () => boolean, call: Promise<unknown>): Promise<void> {
    const outcome = call.then(
      () => 'answered',
      () => 'lost',
    )
    await vi.waitFor(() => expect(isThere()).toBe(true), { timeout: 30_000, interval: 20 })
    await victim.kill()
    expect(await outcome).toBe('lost')
    await sql('update artifact.upload set lease_until = now()')
  }

  async function expectOneBlob(bytes: Buffer): Promise<void> {
    const digest = digestOf(bytes)
    const blobs = grpcClient(BlobService, survivor.address, 'alice')
    expect((await download(blobs, { digest })).equals(bytes)).toBe(true)
    expect(await sql('select 1 from artifact.outbox where resource_id = ?', [digest])).toHaveLength(1)
  }

  async function wakeJanitor(): Promise<void> {
    const uploads = grpcClient(UploadService, survivor.address, 'alice')
    const { id: uploadId } = await startUpload(uploads, Buffer.from('to be aborted'))
    await uploads.abortUpload({ uploadId })
  }

  async function expectNoOrphans(): Promise<void> {
    await wakeJanitor()
    await expect.poll(() => sql('select * from artifact.doomed_object')).toEqual([])
    const keys = await sql<{ object_key: string }>('select object_key from artifact.upload')
    const blobs = await sql('select 1 from artifact.blob')
    expect(await place.countEntries(keys.map(({ object_key }) => object_key))).toBe(blobs.length)
  }

  test.each(STEPS)('%s: resumes the upload, and resends only parts in flight', async (name, step, order) => {
    const bytes = makeBytes(34 * MIB, `${kind} ${name}`)
    const victim = await start(step)
    const client = new Pusher(bytes, order, name === 'in the middle of a part')
    const isThere = () => client.isHalfway || isFrozen(victim)
    await killAt(victim, isThere, client.push(victim.address))
    await vi.waitFor(() => client.push(survivor.address), { timeout: 30_000, interval: 100 })
    await expectOneBlob(bytes)
    expect(Math.max(...client.sent.values())).toBeLessThanOrEqual(2)
    const again = [...client.sent.values()].reduce((sum, count) => sum + count - 1, 0)
    expect(again).toBeLessThanOrEqual(
      step === 'never' || step.endsWith('putPart') || step === 'part recorded' ? STREAMS : 0,
    )
    const key = await keyOf(bytes)
    expect([...victim.logs, ...survivor.logs].filter((line) => isComplete(line, key))).toHaveLength(1)
    await expectNoOrphans()
  })

  test.each([
    ['after the session was recorded', 'before put'],
    ['after the store took the bytes', 'after put'],
    ['after the blob was recorded, before the answer', 'committed'],
  ])('%s: stores a blob in one stream when it is sent again', async (name, step) => {
    const bytes = makeBytes(3 * MIB, `stream ${kind} ${name}`)
    const victim = await start(step)
    const upload = (address: string) => grpcClient(BlobService, address, 'alice').uploadBlob(blobMessages(bytes))
    await killAt(victim, () => isFrozen(victim), upload(victim.address))
    expect((await upload(survivor.address)).existed).toBe(step === 'committed')
    await expectOneBlob(bytes)
    await sql('update artifact.upload set expire_time = now() where not resumable')
    await wakeJanitor()
    await expect.poll(() => sql('select 1 from artifact.upload where not resumable')).toEqual([])
    await expectNoOrphans()
  })

  async function keyOf(bytes: Buffer): Promise<string> {
    const [row] = await sql<{ object_key: string }>('select object_key from artifact.blob where digest = ?', [
      digestOf(bytes),
    ])
    return row!.object_key
  }
})

function isFrozen({ logs }: RunningProcess): boolean {
  return logs.some((line) => line.includes('"message":"frozen"'))
}

function isComplete(line: string, key: string): boolean {
  return line.includes('"message":"complete"') && line.includes(key)
}

/** A client that resumes its upload. */
class Pusher {
  /** How often each part was sent. */
  readonly sent = new Map<number, number>()
  /** It has sent half a part, and sends no more. */
  isHalfway = false
  readonly #bytes: Buffer
  readonly #order: number[]
  #stopsHalfway: boolean

  constructor(bytes: Buffer, order: number[], stopsHalfway: boolean) {
    this.#bytes = bytes
    this.#order = order
    this.#stopsHalfway = stopsHalfway
  }

  async push(address: string): Promise<void> {
    const uploads = grpcClient(UploadService, address, 'alice')
    const sizeBytes = BigInt(this.#bytes.length)
    const { result } = await uploads.startUpload({ digest: digestOf(this.#bytes), sizeBytes })
    if (result.case !== 'upload') return
    const upload = result.value
    const arrived = new Set(upload.parts.map(({ number }) => number))
    const missing = this.#order.filter((number) => !arrived.has(number))
    const send = async (number: number): Promise<void> => {
      this.sent.set(number, (this.sent.get(number) ?? 0) + 1)
      await uploads.writePart(this.#messages(upload.id, number, partOf(this.#bytes, upload, number)))
    }
    if (this.#order === BACKWARDS) for (const number of missing) await send(number)
    else await Promise.all(missing.map(send))
    await uploads.completeUpload({ uploadId: upload.id })
  }

  async *#messages(uploadId: string, number: number, part: Uint8Array) {
    yield { message: { case: 'header' as const, value: { uploadId, number, sha256: sha256(part) } } }
    const onChunk = (index: number): Promise<void> | undefined => {
      if (!this.#stopsHalfway || index < 8) return undefined
      this.isHalfway = true
      this.#stopsHalfway = false
      return new Promise(() => {})
    }
    yield* chunkMessages(part, { onChunk })
  }
}
