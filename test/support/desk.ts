// Offers to the test files of a run what is expensive to make. It is made when the first of them asks for it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Desk<T> {
  /** Answers with JSON. */
  address: string
  /** Resolves with what was made, so that it can be removed. */
  close: () => Promise<T | undefined>
}

/** `present`: what test files get of it. */
export async function openDesk<T>(make: () => Promise<T>, present: (made: T) => unknown): Promise<Desk<T>> {
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

export async function askDesk<T>(address: string): Promise<T> {
  const answer = await fetch(address)
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return JSON.parse(text) as T
}
