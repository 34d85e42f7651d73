// A model of what the artifact service promises during garbage collection, with random calls that a seed decides:
// a blob reported as present stays for its lease, and a blob that a version needs stays until that is released.
import type { Client } from '@connectrpc/connect'
import { randomUUID } from 'node:crypto'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { METADATA_TOKEN, type Replica } from './artifact.ts'
import { blobMessages, digestOf, download, makeBytes, partMessages } from './bytes.ts'
import { collectGarbage } from './garbage.ts'
import { refusalOf } from './refusal.ts'

const LEASE_HOURS = 23.8
const BLOBS = 8
const TOKENS: Record<string, string> = { default: 'alice', other: 'carol' }
/** Reasons for which a call may fail when others use the same blob. */
const TOLERATED = [
  'BLOB_MISSING',
  'MANIFEST_NOT_FOUND',
  'UPLOAD_CLOSED',
  'UPLOAD_BUSY',
  'UPLOAD_NOT_FOUND',
  'PARTS_MISSING',
]

interface Manifest {
  namespace: string
  digest: string
  blobs: number[]
}

/** Random calls of one seed, and the promises that follow from their answers; broken promises are in `faults`. */
export class GarbageWorld {
  /** Time passed so far, in hours. */
  now = 0
  readonly faults: string[] = []
  readonly #blobs: Buffer[]
  readonly #replicas: Replica[]
  /** End of the lease in hours, by namespace and blob. */
  readonly #leases = new Map<string, number>()
  readonly #manifests = new Map<string, Manifest & { until: number }>()
  /** Manifests that versions retain, by version id. */
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
      () => this.#findMissing(),
      () => this.#findMissing(),
      () => this.#createManifest(),
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

  async #findMissing(): Promise<void> {
    const namespace = this.#pickNamespace()
    const digests = this.#blobs.map((bytes) => digestOf(bytes))
    const { missingDigests } = await this.#client(BlobService, namespace).findMissingBlobs({ namespace, digests })
    const present = digests.flatMap((digest, index) => (missingDigests.includes(digest) ? [] : [index]))
    this.#promise(namespace, present)
  }

  async #createManifest(): Promise<void> {
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

  async releaseAll(): Promise<void> {
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
