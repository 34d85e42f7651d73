// Shares a MinIO server among the tests of a run. It starts when the first test file needs it.
import type { TestProject } from 'vitest/node'
import { shareResource } from './shared-resource.ts'
import { startMinio } from './minio-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A URL that serves the address and keys of the S3 server as JSON. */
    minioUrl: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = await shareResource(startMinio, ({ access }) => access)
  project.provide('minioUrl', shared.address)
  return async () => {
    await (await shared.close())?.stop()
  }
}
