// Shares a MinIO server among the tests of a run. It starts when the first test file needs it.
import type { TestProject } from 'vitest/node'
import { openDesk } from './desk.ts'
import { startMinio } from './minio-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A URL that serves the address and keys of the S3 server as JSON. */
    minioDesk: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const desk = await openDesk(startMinio, ({ access }) => access)
  project.provide('minioDesk', desk.address)
  return async () => {
    await (await desk.close())?.stop()
  }
}
