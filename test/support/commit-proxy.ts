// A proxy before PostgreSQL that lets a commit through and loses its answer, so that nobody knows whether it happened.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface CommitProxy {
  /** The database's URL through the proxy. */
  url: string
  /** The answer to the `nth` commit from now on is lost. */
  lose(nth: number): void
  /** Whether an answer was lost since. */
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
    lose(nth) {
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

/** As a simple query or as one that is parsed; or the statement that is a transaction by itself, by which uploads in one
 * stream begin and end. */
function isCommit(bytes: Buffer): boolean {
  return /^[QP].{4}\0?(commit|with begun as)/is.test(bytes.toString('latin1'))
}
