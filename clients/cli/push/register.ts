// Registers stored blobs as a version: model, manifest and version, each of which may exist from an earlier attempt.
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { createHash } from 'node:crypto'
import {
  CreateManifestRequestSchema,
  ManifestService,
  type CreateManifestRequest,
} from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import type { Model } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import type { VersionFacts } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import type { Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import {
  CreateVersionRequestSchema,
  VersionService,
  type CreateVersionRequest,
} from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { unary, type Registry } from '../connection/registry.ts'
import { modelRef, type VersionRef } from '../arguments/refs.ts'
import { CliError } from '../terminal/cli-error.ts'
import { bytes } from '../terminal/output.ts'
import type { HashedFile, LocalFile } from './files.ts'

/** Timeout of CreateManifest, long enough for 100,000 files. */
const MANIFEST_TIMEOUT_MS = 120_000
/** The server's limit of a request. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024

export async function findModel(registry: Registry, namespace: string, name: string): Promise<Model | undefined> {
  try {
    const request = { model: modelRef(namespace, name) }
    return (await registry.metadata(ModelService).getModel(request, unary(registry))).model
  } catch (error) {
    if (reasonOf(error)?.reason === 'MODEL_NOT_FOUND') return undefined
    throw error
  }
}

/** Returns the model, and creates it if it does not exist. Another push may create it at the same time. */
export async function findOrCreateModel(registry: Registry, namespace: string, name: string): Promise<Model> {
  const found = await findModel(registry, namespace, name)
  if (found) return found
  try {
    const created = await registry.metadata(ModelService).createModel({ namespace, name }, unary(registry))
    return created.model!
  } catch (error) {
    const existing = reasonOf(error)?.reason === 'MODEL_EXISTS' && (await findModel(registry, namespace, name))
    if (existing) return existing
    throw error
  }
}

export async function createManifest(registry: Registry, namespace: string, files: HashedFile[]): Promise<string> {
  const options = unary(registry, MANIFEST_TIMEOUT_MS)
  const { manifest } = await registry.artifact(ManifestService).createManifest(listFiles(namespace, files), options)
  return manifest!.digest
}

function listFiles(namespace: string, files: Pick<HashedFile, 'path' | 'digest' | 'size'>[]): CreateManifestRequest {
  const listed = files.map(({ path, digest, size }) => ({ path, digest, sizeBytes: BigInt(size) }))
  return create(CreateManifestRequestSchema, { namespace, files: listed })
}

/** Throws CliError if the list of the files is too long for a request, before the files are hashed and sent. */
export function requireListable(namespace: string, files: LocalFile[]): void {
  const request = listFiles(
    namespace,
    files.map(({ path, size }) => ({ path, size, digest: `sha256:${'0'.repeat(64)}` })),
  )
  const { length } = toBinary(CreateManifestRequestSchema, request)
  if (length <= MAX_REQUEST_BYTES) return
  const message = `the list of ${files.length} files has ${bytes(length)}; at most ${bytes(MAX_REQUEST_BYTES)} are allowed`
  throw new CliError('usage', message, { hint: 'Pack small files into fewer large ones, or shorten their paths.' })
}

export type NewVersion = Pick<
  CreateVersionRequest,
  'manifestDigest' | 'semver' | 'description' | 'labels' | 'modelCard'
> & { facts: VersionFacts }

/** `created` is false if the model already had a version with these bytes. */
export async function createVersion(
  registry: Registry,
  { id, namespace, name }: Model,
  wanted: NewVersion,
): Promise<{ version: Version; created: boolean }> {
  const selector = { case: 'digest' as const, value: wanted.manifestDigest }
  const present = await findVersion(registry, { case: 'name', value: { namespace, model: name, selector } })
  if (present) return { version: present, created: false }
  const request = { ...wanted, model: { ref: { case: 'id' as const, value: id } } }
  for (let salt = ''; ;) {
    try {
      const repeatable = { ...request, requestId: requestIdOf(request, salt) }
      const { version } = await registry.metadata(VersionService).createVersion(repeatable, unary(registry))
      const stored = await findVersion(registry, { case: 'id', value: version!.id })
      if (stored) return { version: stored, created: true }
      // The response is that of an earlier push whose version was deleted since, so this push needs another request id.
      salt = version!.id
    } catch (error) {
      const answer = reasonOf(error)
      if (answer?.reason !== 'VERSION_EXISTS') throw error
      const version = await findVersion(registry, { case: 'id', value: answer.metadata['id'] ?? '' })
      if (!version) throw error
      return { version, created: false }
    }
  }
}

export async function findVersion(
  registry: Registry,
  ref: NonNullable<VersionRef['ref']>,
): Promise<Version | undefined> {
  try {
    const { version } = await registry.metadata(VersionService).resolveVersion({ ref: { ref } }, unary(registry))
    return version
  } catch (error) {
    if (['VERSION_NOT_FOUND', 'MODEL_NOT_FOUND'].includes(reasonOf(error)?.reason ?? '')) return undefined
    throw error
  }
}

/** Returns the same id for the same push, so that a repeated push registers one version. */
export function requestIdOf(request: MessageInitShape<typeof CreateVersionRequestSchema>, salt: string): string {
  const labels = Object.fromEntries(Object.entries(request.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
  const content = toBinary(CreateVersionRequestSchema, create(CreateVersionRequestSchema, { ...request, labels }))
  const hex = createHash('sha256').update('modelkeep push').update(salt).update(content).digest('hex')
  const variant = ((Number.parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-')
}
