// Shares a Ceph gateway among the tests of a run, if Ceph is installed. It starts when the first test file needs it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { missingPrograms, startRgw, type RgwServer } from './rgw-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A URL that serves the address and keys of the gateway as JSON, or 404 and the reason why there is none. */
    rgwUrl: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let starting: Promise<RgwServer> | undefined
  const server = createServer((_request, response) => {
    const answer = async (): Promise<void> => {
      const missing = await missingPrograms()
      if (missing.length > 0) {
        const why = `${missing.join(', ')} not installed (apt-get install radosgw ceph-mon ceph-osd)`
        return void response.writeHead(404).end(why)
      }
      starting ??= startRgw()
      response.end(JSON.stringify((await starting).access))
    }
    answer().catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  server.requestTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  project.provide('rgwUrl', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return async () => {
    server.closeAllConnections()
    server.close()
    await starting?.then(
      (gateway) => gateway.stop(),
      () => undefined,
    )
  }
}
