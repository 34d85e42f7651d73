// Reads the manifest of a version, after its bytes were compared with the version's digest.
import { createHash } from 'node:crypto'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import type { Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { CliError } from '../terminal/cli-error.ts'
import { findListProblem } from '../transfer/paths.ts'
import { unary, type Registry } from '../connection/registry.ts'

/** The annotation in which ModelPack stores the path of a layer. */
const PATH_ANNOTATION = 'org.cncf.model.filepath'
const DIGEST = /^sha256:[0-9a-f]{64}$/
const TIMEOUT_MS = 120_000

export interface RemoteFile {
  path: string
  digest: string
  size: number
}

export async function fetchManifest(registry: Registry, version: Version): Promise<RemoteFile[]> {
  const request = { namespace: version.namespace, digest: version.digest }
  const { manifest } = await registry.artifact(ManifestService).getManifest(request, unary(registry, TIMEOUT_MS))
  return readManifest(manifest?.content ?? new Uint8Array(), version.digest)
}

/** Returns the files that the manifest lists. Throws CliError if the digest does not match or a path is unsafe. */
export function readManifest(content: Uint8Array, expected: string): RemoteFile[] {
  const actual = `sha256:${createHash('sha256').update(content).digest('hex')}`
  if (actual !== expected) failIntegrity(`manifest has digest ${actual}, not ${expected}`)
  const files = readLayers(content)
  const problem = findListProblem(files.map(({ path }) => path))
  if (problem) failIntegrity(`manifest is unsafe: ${problem}`)
  return files
}

interface Layer {
  digest?: unknown
  size?: unknown
  annotations?: Record<string, unknown>
}

function readLayers(content: Uint8Array): RemoteFile[] {
  let layers: unknown
  try {
    ;({ layers } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content)) as { layers?: unknown })
  } catch {
    failIntegrity('manifest is not JSON')
  }
  if (!Array.isArray(layers) || layers.length === 0) failIntegrity('manifest lists no files')
  return (layers as (Layer | null)[]).map((layer) => {
    const path = layer?.annotations?.[PATH_ANNOTATION]
    const { digest, size } = layer ?? {}
    if (typeof path !== 'string') failIntegrity(`manifest layer has no annotation ${PATH_ANNOTATION}`)
    if (typeof digest !== 'string' || !DIGEST.test(digest))
      failIntegrity(`"${path}" has no SHA-256 digest in the manifest`)
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      failIntegrity(`"${path}" has no valid size in the manifest`)
    return { path, digest, size }
  })
}

export function failIntegrity(message: string): never {
  const hint = 'The target was not changed. Report this to the operator of the registry.'
  throw new CliError('integrity', message, { hint, reason: 'CLI_INTEGRITY' })
}
