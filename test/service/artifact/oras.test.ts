// The manifest as foreign tools of OCI read it: `oras pull` restores the files under their paths.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes } from '../../support/bytes.ts'
import { goTool } from '../../support/go-tool.ts'

const run = promisify(execFile)
const artifact = await startArtifact(await STORES[1]![1]())
const directory = await mkdtemp(join(tmpdir(), 'modelkeep-oras-'))
afterAll(async () => {
  await artifact.stop()
  await rm(directory, { recursive: true })
})

const FILES = { 'README.md': Buffer.from('# Card\n'), 'weights/größe/model.onnx': makeBytes(100_000, 'oras') }

/** Writes an OCI layout of a manifest and the blobs that it names. */
async function writeLayout(layout: string, digest: string, content: Buffer): Promise<void> {
  const blobs = join(layout, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const write = (name: string, bytes: Buffer) => writeFile(join(blobs, name.slice('sha256:'.length)), bytes)
  await write(digest, content)
  const { mediaType, config, layers } = JSON.parse(content.toString()) as {
    mediaType: string
    config: { digest: string }
    layers: { digest: string }[]
  }
  for (const { digest: blob } of [config, ...layers]) {
    await write(blob, await download(artifact.client(BlobService), { digest: blob }))
  }
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const manifests = [{ mediaType, digest, size: content.length }]
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
}

test('oras pull restores the files of a manifest', { timeout: 20 * 60_000 }, async () => {
  const oras = await goTool('oras', 'oras.land/oras/cmd/oras@v1.2.3')
  for (const bytes of Object.values(FILES)) await artifact.client(BlobService).uploadBlob(blobMessages(bytes))
  const files = Object.entries(FILES).map(([path, bytes]) => {
    return { path, digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) }
  })
  const { manifest } = await artifact.client(ManifestService).createManifest({ files })
  const [layout, out] = [join(directory, 'layout'), join(directory, 'out')]
  await writeLayout(layout, manifest!.digest, Buffer.from(manifest!.content))
  await run(oras, ['pull', '--oci-layout', `${layout}@${manifest!.digest}`, '--output', out])
  const found = await readdir(out, { recursive: true, withFileTypes: true })
  expect(found.filter((entry) => entry.isFile())).toHaveLength(files.length)
  for (const [path, bytes] of Object.entries(FILES)) expect((await readFile(join(out, path))).equals(bytes)).toBe(true)
})
