// Offers a MinIO server to the tests of a run. It is started when the first test file asks for it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { startMinio, type MinioServer } from './minio-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Answers with the address and keys of the S3 server, as JSON. */
    minioDesk: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let starting: Promise<MinioServer> | undefined
  const desk = createServer((_request, response) => {
    starting ??= startMinio()
    starting.then(
      ({ access }) => response.end(JSON.stringify(access)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  desk.requestTimeout = 0
  await new Promise<void>((resolve) => desk.listen(0, '127.0.0.1', resolve))
  project.provide('minioDesk', `http://127.0.0.1:${(desk.address() as AddressInfo).port}`)
  return async () => {
    desk.closeAllConnections()
    desk.close()
    await starting?.then(
      (server) => server.stop(),
      () => undefined,
    )
  }
}
