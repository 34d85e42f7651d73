import type { HandlerContext } from '@connectrpc/connect'
import type { CreateManifestRequest } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { Chunk } from '#lib/byte-streams/chunk.ts'
import { fail } from '#lib/errors/errors.ts'
import { inTransaction } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { parseFiles, writeManifest, type CanonicalManifest, type File } from '../../domain/manifest.ts'
import { parseNamespace } from '../../domain/namespace.ts'
import { PartBuffer } from '../../domain/part-buffer.ts'
import { extendLeases } from '../../store/blobs/blob-lease.ts'
import { addManifest, renewManifests } from '../../store/blobs/manifest.ts'
import { manifestResource } from '../../store/events.ts'
import type { Backend } from '../../deps.ts'
import { renewLeases } from '../../changes/blob-leases.ts'
import { byCaller } from '../../changes/by-caller.ts'
import { presentManifest, requireFewForJson } from '../present.ts'
import { storeBlob } from '../streaming/store-blob.ts'

/** Missing blobs that an error names. */
const MAX_NAMED = 10

export async function createManifest(backend: Backend, request: CreateManifestRequest, context: HandlerContext) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  const files = await parseFiles(request.files, context.signal)
  const manifest = await writeManifest(files, context.signal)
  requireFewForJson(context, manifest.content)
  const find = await finder(backend, context, namespace, manifest)
  let stored = await find()
  if (!stored) {
    const sizes = await renewLeases(backend, context, namespace, digestsOf(files))
    checkBlobs(namespace, files, sizes)
    checkSizes(files, sizes)
    await storeConfig(backend, namespace, manifest.config, context)
    await commitManifest(backend, namespace, manifest, context)
    stored = (await find())!
  }
  return { manifest: await presentManifest(stored, files, context.signal) }
}

/** Returns a function that finds the manifest of the files, and renews its lease. Files whose manifest an earlier release
 * created keep that one, so that repeated pushes find the version that has it. */
async function finder(
  { database }: Backend,
  { signal }: HandlerContext,
  namespace: string,
  manifest: CanonicalManifest,
) {
  const forms = [await writeManifest(manifest.files, signal, { titles: false }), manifest]
  const digests = forms.map(({ digest }) => digest)
  return async () => {
    const renewed = await inTransaction(database, signal, (em) => renewManifests(em, namespace, digests))
    const times = new Map(renewed.map(({ digest, createTime }) => [digest, createTime]))
    const stored = forms.find(({ digest }) => times.has(digest))
    return stored && { ...stored, createTime: times.get(stored.digest)! }
  }
}

function digestsOf(files: { digest: string }[]): string[] {
  return [...new Set(files.map(({ digest }) => digest))]
}

function checkBlobs(namespace: string, files: { digest: string }[], sizes: Map<string, number>): void {
  const missing = digestsOf(files).filter((digest) => !sizes.has(digest))
  if (missing.length === 0) return
  const named = missing.slice(0, MAX_NAMED)
  const message = `${missing.length} blobs not found in namespace "${namespace}": ${named.join(', ')}`
  fail('BLOB_MISSING', message, { missing: named.join(',') })
}

function checkSizes(files: File[], sizes: Map<string, number>): void {
  for (const { path, digest, sizeBytes } of files) {
    const actual = sizes.get(digest)!
    if (actual === sizeBytes) continue
    const metadata = { expected: String(sizeBytes), actual: String(actual), digest }
    fail('SIZE_MISMATCH', `file "${path}" has ${actual} bytes, not ${sizeBytes}`, metadata)
  }
}

/** Stores the model config, which is a blob of the namespace like any other. */
async function storeConfig(
  backend: Backend,
  namespace: string,
  { digest, content }: CanonicalManifest['config'],
  context: HandlerContext,
): Promise<void> {
  const part = new PartBuffer()
  part.append(new Chunk([content]))
  const parts = (async function* () {
    yield part.finish()
  })()
  await storeBlob(backend, context, { namespace, digest, sizeBytes: content.length }, parts)
}

async function commitManifest(
  { database, relay }: Backend,
  namespace: string,
  manifest: CanonicalManifest,
  context: HandlerContext,
): Promise<void> {
  const { digest, content, config, files, totalSizeBytes } = manifest
  const fileCount = files.length
  const blobDigests = digestsOf([config, ...files])
  await inTransaction(database, context.signal, async (em) => {
    // The blobs stay locked until the manifest names them.
    checkBlobs(namespace, [config, ...files], await extendLeases(em, byCaller(context), namespace, blobDigests))
    if (!(await addManifest(em, { namespace, digest, content, totalSizeBytes, fileCount, blobDigests }))) return
    emit(em, context, {
      type: 'manifest.created.v1',
      resource: manifestResource(namespace, digest),
      afterDigest: digest,
      details: { totalSizeBytes: String(totalSizeBytes), fileCount },
    })
  })
  relay.wake()
}
