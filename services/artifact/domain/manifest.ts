// The files of a version as an OCI image manifest with ModelPack media types, in one canonical form: fixed order of keys,
// files sorted by path, no white space, no times. The stored bytes are never regenerated.
import { createHash } from 'node:crypto'
import { fail, failField, failLimit } from '#lib/errors/errors.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { parseBlobSize } from './blob.ts'
import { parseMediaType } from './media-type.ts'
import { checkPathsTogether, comparePaths, parsePath } from './path.ts'

const MAX_FILES = 100_000
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const ARTIFACT_TYPE = 'application/vnd.cncf.model.manifest.v1+json'
const CONFIG_TYPE = 'application/vnd.cncf.model.config.v1+json'
const FILE_PATH = 'org.cncf.model.filepath'

export interface File {
  path: string
  digest: string
  sizeBytes: number
  mediaType: string
}

export interface CanonicalManifest {
  digest: string
  content: Buffer
  /** The model config of ModelPack, a blob that the manifest names. */
  config: { digest: string; content: Buffer }
  files: File[]
  totalSizeBytes: bigint
}

interface FileInit {
  path: string
  digest: string
  sizeBytes: bigint
  mediaType: string
}

/** Checks the files of a request and returns them in canonical order. */
export function parseFiles(files: FileInit[]): File[] {
  if (files.length === 0) failField('files', 'must not be empty')
  if (files.length > MAX_FILES) failLimit('files', MAX_FILES, 'files')
  const parsed = files.map((file, index) => {
    const field = `files[${index}]`
    return {
      path: parsePath(file.path, `${field}.path`),
      digest: parseDigest(file.digest, `${field}.digest`),
      sizeBytes: parseBlobSize(file.sizeBytes, `${field}.size_bytes`),
      mediaType: parseMediaType(file.mediaType, file.path, `${field}.media_type`),
    }
  })
  checkPathsTogether(parsed.map(({ path }) => path))
  checkSizes(parsed)
  return parsed.sort((left, right) => comparePaths(left.path, right.path))
}

function checkSizes(files: File[]): void {
  const first = new Map<string, number>()
  for (const [index, { digest, sizeBytes }] of files.entries()) {
    const known = first.get(digest) ?? index
    first.set(digest, known)
    const expected = files[known]!.sizeBytes
    if (expected === sizeBytes) continue
    const metadata = { expected: String(expected), actual: String(sizeBytes), digest }
    fail(
      'SIZE_MISMATCH',
      `files[${index}].size_bytes must equal that of files[${known}], which has the same digest`,
      metadata,
    )
  }
}

/** `files`: as `parseFiles` returns them. */
export function writeManifest(files: File[]): CanonicalManifest {
  const config = writeConfig(files)
  const content = toJson({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: ARTIFACT_TYPE,
    config: { mediaType: CONFIG_TYPE, digest: config.digest, size: config.content.length },
    layers: files.map(({ path, digest, sizeBytes, mediaType }) => ({
      mediaType,
      digest,
      size: sizeBytes,
      annotations: { [FILE_PATH]: path },
    })),
  })
  const totalSizeBytes = files.reduce((sum, { sizeBytes }) => sum + BigInt(sizeBytes), 0n)
  return { digest: digestOf(content), content, config, files, totalSizeBytes }
}

function writeConfig(files: File[]): CanonicalManifest['config'] {
  const diffIds = files.map(({ digest }) => digest)
  const content = toJson({ descriptor: {}, config: {}, modelfs: { type: 'layers', diffIds } })
  return { digest: digestOf(content), content }
}

/** The files of a stored manifest. */
export function readManifest(content: Buffer): File[] {
  const { layers } = JSON.parse(content.toString()) as { layers: Layer[] }
  return layers.map(({ mediaType, digest, size, annotations }) => ({
    path: annotations[FILE_PATH]!,
    digest,
    sizeBytes: size,
    mediaType,
  }))
}

interface Layer {
  mediaType: string
  digest: string
  size: number
  annotations: Record<string, string>
}

function toJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}

export function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}
