// Shares a resource that is expensive to create among the test files of a run. It is created at the first request.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SharedResource<T> {
  /** The URL that returns the resource as JSON. */
  address: string
  /** Resolves with the created resource, so that the caller can remove it. */
  close: () => Promise<T | undefined>
}

/** `present`: the part of the resource that test files receive. */
export async function shareResource<T>(
  make: () => Promise<T>,
  present: (made: T) => unknown,
): Promise<SharedResource<T>> {
  let making: Promise<T> | undefined
  const server = createServer((_request, response) => {
    making ??= make()
    making.then(
      (made) => response.end(JSON.stringify(present(made))),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  server.requestTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections()
      server.close()
      return making?.catch(() => undefined) ?? Promise.resolve(undefined)
    },
  }
}

export async function fetchShared<T>(address: string): Promise<T> {
  const answer = await fetch(address)
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return JSON.parse(text) as T
}
