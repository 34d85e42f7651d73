// A proxy in front of PostgreSQL that forwards a commit and drops its response, so that the service cannot know the outcome.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface CommitProxy {
  /** The database's URL through the proxy. */
  url: string
  /** Drops the response to the `nth` commit from now on. */
  dropResponse(nth: number): void
  /** Whether a response was dropped since. */
  lost: boolean
  close(): Promise<void>
}

export async function startCommitProxy(database: string): Promise<CommitProxy> {
  const target = new URL(database)
  const sockets = new Set<Socket>()
  let left = 0
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname)
    let losing = false
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (bytes: Buffer) => {
      if (isCommit(bytes) && left > 0) losing = (left -= 1) === 0
      upstream.write(bytes)
    })
    upstream.on('data', (bytes: Buffer) => {
      if (!losing) return void client.write(bytes)
      proxy.lost = true
      client.resetAndDestroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(database)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  const proxy: CommitProxy = {
    url: url.href,
    lost: false,
    dropResponse(nth) {
      left = nth
      proxy.lost = false
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return proxy
}

/** Recognizes a commit, as a simple or a parsed query, and the statement that begins or ends an upload in one stream, which
 * is a transaction of its own. */
function isCommit(bytes: Buffer): boolean {
  return /^[QP].{4}\0?(commit|with begun as)/is.test(bytes.toString('latin1'))
}
