// Uploads, questions, manifests, versions and several collectors at once, in seeded random schedules, against a model of
// what has been promised: a blob that was said to be there stays for its lease, one that a version needs for ever.
import type { Client } from '@connectrpc/connect'
import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { DEFAULT_TERMS } from '../../../services/artifact/jobs/garbage/collector.ts'
import { METADATA_TOKEN, startArtifact, STORES, type Replica } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, partMessages } from '../../support/bytes.ts'
import { collectEverything, collectGarbage, passTime } from '../../support/garbage.ts'
import { refusalOf } from '../../support/refusal.ts'

const LEASE_HOURS = 23.8
const BLOBS = 8
const ROUNDS = 16
const AT_ONCE = 14
const TOKENS: Record<string, string> = { default: 'alice', other: 'carol' }
/** What a call may run into when others are at the same blob. */
const TOLERATED = [
  'BLOB_MISSING',
  'MANIFEST_NOT_FOUND',
  'UPLOAD_CLOSED',
  'UPLOAD_BUSY',
  'UPLOAD_NOT_FOUND',
  'PARTS_MISSING',
]

describe.each(STORES)('garbage collection during other calls, in %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store, { bytes: store.open() })
  // One that condemns and removes at once: where only the time of grace hides a mistake, it shows.
  const others = [
    await artifact.addReplica({ limits: { terms: { ...DEFAULT_TERMS, graceSeconds: 0 } } }),
    await artifact.addReplica(),
  ]
  const replicas: Replica[] = [artifact, ...others]
  afterAll(async () => {
    for (const replica of others) await replica.stop()
    await artifact.stop()
  })

  test.each([1, 2, 3])(
    'every leased or held blob is served byte for byte (seed %i)',
    { timeout: 240_000 },
    async (seed) => {
      const world = new World(seed, replicas)
      for (let round = 0; round < ROUNDS; round += 1) {
        const hours = world.pick([0, 1, 5, 12, 23.5, 24.5, 26, 60])
        await passTime(artifact.database.url, hours)
        world.now += hours
        await Promise.all(Array.from({ length: AT_ONCE }, () => world.act()))
        await world.checkAll()
      }
      expect(world.faults).toEqual([])
      await collectEverything(artifact)
      await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
      await world.checkAll()
      const rows = await artifact.sql<{ object_key: string }>('select object_key from artifact.blob')
      expect((await store.listObjects()).toSorted()).toEqual(rows.map((row) => row.object_key).toSorted())
      await checkEvents()
      await world.letGo()
      await collectEverything(artifact)
      expect(await artifact.sql('select * from artifact.blob')).toEqual([])
      await expect.poll(() => store.listObjects()).toEqual([])
    },
  )

  /** Each blob's events tell a story that can be: it comes, is condemned and revived, and goes, in turn. */
  async function checkEvents(): Promise<void> {
    const events = await artifact.sql<{ name: string; type: string }>(
      `select event #>> '{resource,name}' as name, event ->> 'type' as type
        from artifact.outbox where event ->> 'type' like 'blob.%' order by sequence`,
    )
    const stories = new Map<string, string>()
    for (const { name, type } of events) stories.set(name, (stories.get(name) ?? '') + STORY[type])
    for (const [name, story] of stories) expect(`${name} ${story}`).toMatch(/ (\+(cr)*(c-)?)*$/)
    const present = await artifact.sql<{ name: string }>(
      `select namespace || '/' || digest as name from artifact.namespace_blob`,
    )
    const told = [...stories].filter(([, story]) => !story.endsWith('-')).map(([name]) => name)
    expect(told.toSorted()).toEqual(present.map(({ name }) => name).toSorted())
  }
})

const STORY: Record<string, string> = {
  'blob.committed.v1': '+',
  'blob.condemned.v1': 'c',
  'blob.revived.v1': 'r',
  'blob.collected.v1': '-',
}

interface Manifest {
  namespace: string
  digest: string
  blobs: number[]
}

class World {
  /** In hours. */
  now = 0
  readonly faults: string[] = []
  readonly #blobs: Buffer[]
  readonly #replicas: Replica[]
  /** Until when, by namespace and blob. */
  readonly #leases = new Map<string, number>()
  readonly #manifests = new Map<string, Manifest & { until: number }>()
  /** By version. */
  readonly #held = new Map<string, Manifest>()
  #state: number

  constructor(seed: number, replicas: Replica[]) {
    this.#state = seed * 7919
    this.#replicas = replicas
    this.#blobs = Array.from({ length: BLOBS }, (_, index) => makeBytes(100 + index, `raced ${seed} ${index}`))
  }

  random(): number {
    this.#state = (this.#state * 1_103_515_245 + 12_345) % 2_147_483_648
    return this.#state / 2_147_483_648
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)]!
  }

  async act(): Promise<void> {
    const act = this.pick([
      () => this.#upload(),
      () => this.#upload(),
      () => this.#uploadInParts(),
      () => this.#ask(),
      () => this.#ask(),
      () => this.#name(),
      () => this.#retain(),
      () => this.#release(),
      () => this.#collect(),
      () => this.#collect(),
      () => this.#collect(),
      () => this.checkOne(),
    ])
    try {
      await act()
    } catch (error) {
      const { code, reason, message } = await refusalOf(Promise.reject(error))
      if (!TOLERATED.includes(reason)) this.faults.push(`${act.toString()} ${code} ${reason} ${message}`)
    }
  }

  async #upload(): Promise<void> {
    const { namespace, index, bytes } = this.#pickBlob()
    await this.#client(BlobService, namespace).uploadBlob(blobMessages(bytes, { namespace }))
    this.#promise(namespace, [index])
  }

  async #uploadInParts(): Promise<void> {
    const { namespace, index, bytes } = this.#pickBlob()
    const uploads = this.#client(UploadService, namespace)
    const digest = digestOf(bytes)
    const { result } = await uploads.startUpload({ namespace, digest, sizeBytes: BigInt(bytes.length) })
    if (result.case === 'upload') {
      const { id } = result.value
      await uploads.writePart(partMessages(id, 1, bytes))
      await uploads.completeUpload({ uploadId: id })
    }
    this.#promise(namespace, [index])
  }

  async #ask(): Promise<void> {
    const namespace = this.#pickNamespace()
    const digests = this.#blobs.map((bytes) => digestOf(bytes))
    const { missingDigests } = await this.#client(BlobService, namespace).findMissingBlobs({ namespace, digests })
    const present = digests.flatMap((digest, index) => (missingDigests.includes(digest) ? [] : [index]))
    this.#promise(namespace, present)
  }

  async #name(): Promise<void> {
    const namespace = this.#pickNamespace()
    const blobs = [...new Set([this.#pickIndex(), this.#pickIndex()])]
    const files = blobs.map((index) => {
      const bytes = this.#blobs[index]!
      return { path: `${index}`, digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) }
    })
    const { manifest } = await this.#client(ManifestService, namespace).createManifest({ namespace, files })
    const { digest } = manifest!
    this.#manifests.set(`${namespace} ${digest}`, { namespace, digest, blobs, until: this.now + LEASE_HOURS })
    this.#promise(namespace, blobs)
  }

  async #retain(): Promise<void> {
    const known = [...this.#manifests.values()]
    if (known.length === 0) return
    const { until, ...manifest } = this.pick(known)
    const versionId = randomUUID()
    const { namespace, digest } = manifest
    try {
      await this.#asMetadata().retainManifest({ namespace, digest, versionId })
    } catch (error) {
      if (until > this.now) this.faults.push(`a manifest under a lease is gone: ${String(error)}`)
      throw error
    }
    this.#held.set(versionId, manifest)
  }

  async #release(): Promise<void> {
    if (this.#held.size < 3) return
    const [versionId, { namespace, digest }] = this.pick([...this.#held])
    this.#held.delete(versionId)
    await this.#asMetadata().releaseManifest({ namespace, digest, versionId })
  }

  async letGo(): Promise<void> {
    for (const [versionId, { namespace, digest }] of this.#held) {
      await this.#asMetadata().releaseManifest({ namespace, digest, versionId })
    }
  }

  async #collect(): Promise<void> {
    await collectGarbage(this.pick(this.#replicas), this.random() < 0.3 ? { namespace: this.#pickNamespace() } : {})
  }

  async checkOne(): Promise<void> {
    const promised = this.#promised()
    if (promised.length > 0) await this.#check(this.pick(promised))
  }

  async checkAll(): Promise<void> {
    for (const each of this.#promised()) await this.#check(each)
  }

  async #check(key: string): Promise<void> {
    const [namespace = '', index] = key.split(' ')
    const bytes = this.#blobs[Number(index)]!
    const read = await download(this.#client(BlobService, namespace), { namespace, digest: digestOf(bytes) }).catch(
      (error: unknown) => String(error),
    )
    if (typeof read === 'string' || !read.equals(bytes)) this.faults.push(`${key} at ${this.now} h: ${String(read)}`)
  }

  #promised(): string[] {
    const held = [...this.#held.values(), ...[...this.#manifests.values()].filter(({ until }) => until > this.now)]
    const named = held.flatMap(({ namespace, blobs }) => blobs.map((index) => `${namespace} ${index}`))
    const leased = [...this.#leases].filter(([, until]) => until > this.now).map(([key]) => key)
    return [...new Set([...named, ...leased])]
  }

  #promise(namespace: string, blobs: number[]): void {
    for (const index of blobs) this.#leases.set(`${namespace} ${index}`, this.now + LEASE_HOURS)
  }

  #pickBlob() {
    const index = this.#pickIndex()
    return { namespace: this.#pickNamespace(), index, bytes: this.#blobs[index]! }
  }

  #pickIndex(): number {
    return Math.floor(this.random() * BLOBS)
  }

  #pickNamespace(): string {
    return this.pick(Object.keys(TOKENS))
  }

  #client<S extends Parameters<Replica['client']>[0]>(service: S, namespace: string): Client<S> {
    return this.pick(this.#replicas).client(service, TOKENS[namespace])
  }

  #asMetadata(): Client<typeof ManifestService> {
    return this.pick(this.#replicas).client(ManifestService, METADATA_TOKEN)
  }
}
