// The files of a version as an OCI image manifest with ModelPack media types, in one canonical form: fixed order of keys,
// files sorted by path, no white space, no times. The stored bytes are never regenerated.
import { createHash } from 'node:crypto'
import { fail, failField, failLimit } from '#lib/errors/errors.ts'
import { forEachYielding, yieldToEventLoop } from '#lib/values/event-loop.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { PathTree } from '#lib/values/path-tree.ts'
import { parseBlobSize } from './blob.ts'
import { parseMediaType } from './media-type.ts'
import { addPath, comparePaths, parsePath } from './path.ts'

const MAX_FILES = 100_000
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const ARTIFACT_TYPE = 'application/vnd.cncf.model.manifest.v1+json'
const CONFIG_TYPE = 'application/vnd.cncf.model.config.v1+json'
/** The path of a file, for tools of ModelPack. */
const FILE_PATH = 'org.cncf.model.filepath'
/** The path of a file, for `oras pull`. Manifests of earlier releases lack it. */
const TITLE = 'org.opencontainers.image.title'
const LAYERS = '"layers":['
/** The end of a layer and the begin of the next. No path contains it, because it has a quotation mark. */
const NEXT_LAYER = '}},{"mediaType":'
/** The length of the pieces that are written or read at once. */
const PIECE_LENGTH = 64 * 1024

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
export async function parseFiles(files: FileInit[], signal?: AbortSignal): Promise<File[]> {
  if (files.length === 0) failField('files', 'must not be empty')
  if (files.length > MAX_FILES) failLimit('files', MAX_FILES, 'files')
  const parsed: File[] = []
  const tree = new PathTree()
  const sizes = new Map<string, number>()
  await forEachYielding(files, signal, (init, index) => {
    const file = parseFile(init, `files[${index}]`)
    parsed.push(file)
    addPath(tree, file.path, index)
    checkSize(parsed, index, sizes)
  })
  return parsed.sort((left, right) => comparePaths(left.path, right.path))
}

function parseFile({ path, digest, sizeBytes, mediaType }: FileInit, field: string): File {
  return {
    path: parsePath(path, `${field}.path`),
    digest: parseDigest(digest, `${field}.digest`),
    sizeBytes: parseBlobSize(sizeBytes, `${field}.size_bytes`),
    mediaType: parseMediaType(mediaType, path, `${field}.media_type`),
  }
}

/** `first`: the index of the first file with each digest. */
function checkSize(files: File[], index: number, first: Map<string, number>): void {
  const { digest, sizeBytes } = files[index]!
  const known = first.get(digest)
  if (known === undefined) return void first.set(digest, index)
  const expected = files[known]!.sizeBytes
  if (expected === sizeBytes) return
  const metadata = { expected: String(expected), actual: String(sizeBytes), digest }
  fail(
    'SIZE_MISMATCH',
    `files[${index}].size_bytes must equal that of files[${known}], which has the same digest`,
    metadata,
  )
}

/** `files` must come from `parseFiles`. Without `titles`, the manifest has the format of earlier releases. */
export async function writeManifest(
  files: File[],
  signal?: AbortSignal,
  { titles = true } = {},
): Promise<CanonicalManifest> {
  const config = await writeConfig(files, signal)
  const head = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: ARTIFACT_TYPE,
    config: { mediaType: CONFIG_TYPE, digest: config.digest, size: config.content.length },
  }
  let totalSizeBytes = 0n
  const list = { head: `${JSON.stringify(head).slice(0, -1)},"layers":[`, tail: ']}' }
  const { digest, content } = await writeList(list, files, signal, ({ path, digest: blob, sizeBytes, mediaType }) => {
    totalSizeBytes += BigInt(sizeBytes)
    const annotations = { [FILE_PATH]: path, ...(titles && { [TITLE]: path }) }
    return { mediaType, digest: blob, size: sizeBytes, annotations }
  })
  return { digest, content, config, files, totalSizeBytes }
}

function writeConfig(files: File[], signal: AbortSignal | undefined): Promise<CanonicalManifest['config']> {
  const list = { head: '{"descriptor":{},"config":{},"modelfs":{"type":"layers","diffIds":[', tail: ']}}' }
  return writeList(list, files, signal, ({ digest }) => digest)
}

/** Writes a JSON document that ends with a list, with one item for each file. */
async function writeList(
  { head, tail }: { head: string; tail: string },
  files: File[],
  signal: AbortSignal | undefined,
  itemOf: (file: File) => object | string,
): Promise<{ digest: string; content: Buffer }> {
  const text = new HashedText()
  text.add(head)
  await forEachYielding(files, signal, (file, index) => {
    text.add(`${index > 0 ? ',' : ''}${JSON.stringify(itemOf(file))}`)
  })
  text.add(tail)
  return text.finish()
}

/** Collects text as bytes, which are hashed as they come. */
class HashedText {
  readonly #hash = createHash('sha256')
  readonly #pieces: Buffer[] = []
  #text = ''

  add(text: string): void {
    this.#text += text
    if (this.#text.length >= PIECE_LENGTH) this.#flush()
  }

  finish(): { digest: string; content: Buffer } {
    this.#flush()
    return { digest: `sha256:${this.#hash.digest('hex')}`, content: Buffer.concat(this.#pieces) }
  }

  #flush(): void {
    const piece = Buffer.from(this.#text)
    this.#hash.update(piece)
    this.#pieces.push(piece)
    this.#text = ''
  }
}

/** The files of a stored manifest, which is read in pieces, because it is written in one form only. */
export async function readManifest(content: Buffer, signal?: AbortSignal): Promise<File[]> {
  const files: File[] = []
  const end = content.length - ']}'.length
  for (let at = content.indexOf(LAYERS) + LAYERS.length; at < end;) {
    if (files.length > 0) await yieldToEventLoop(signal)
    const next = content.indexOf(NEXT_LAYER, at + PIECE_LENGTH)
    const until = next === -1 ? end : next + '}}'.length
    for (const layer of JSON.parse(`[${content.toString('utf8', at, until)}]`) as Layer[]) files.push(fileOf(layer))
    at = until + ','.length
  }
  return files
}

function fileOf({ mediaType, digest, size, annotations }: Layer): File {
  return { path: annotations[FILE_PATH]!, digest, sizeBytes: size, mediaType }
}

interface Layer {
  mediaType: string
  digest: string
  size: number
  annotations: Record<string, string>
}

export function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}
