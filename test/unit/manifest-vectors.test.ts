import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readManifest as readRemote } from '../../clients/cli/pull/manifest.ts'
import { digestOf, readManifest, writeManifest, type File } from '../../services/artifact/domain/manifest.ts'

interface Vector {
  form: 'without titles' | 'with titles'
  files: File[]
  digest: string
  content: string
  config: { digest: string; content: string }
}

const VECTORS = JSON.parse(readFileSync('test/vectors/manifests.json', 'utf8')) as Vector[]

test.each(VECTORS)('a manifest $form is written and read by service and command', async (vector) => {
  const { files, digest, config, form } = vector
  const content = Buffer.from(vector.content)
  expect(digestOf(content)).toBe(digest)
  expect(digestOf(Buffer.from(config.content))).toBe(config.digest)
  expect(await writeManifest(files, undefined, { titles: form === 'with titles' })).toMatchObject({
    digest,
    content,
    config: { digest: config.digest, content: Buffer.from(config.content) },
  })
  expect(await readManifest(content)).toEqual(files)
  expect(readRemote(content, digest)).toEqual(
    files.map(({ path, digest: blob, sizeBytes }) => ({ path, digest: blob, size: sizeBytes })),
  )
})

test('new manifests have the path of each file as its title', async () => {
  const { content } = await writeManifest(VECTORS[0]!.files)
  const { layers } = JSON.parse(content.toString()) as { layers: { annotations: object }[] }
  const annotations = VECTORS[0]!.files.map(({ path }) => {
    return { 'org.cncf.model.filepath': path, 'org.opencontainers.image.title': path }
  })
  expect(layers.map((layer) => layer.annotations)).toEqual(annotations)
})
