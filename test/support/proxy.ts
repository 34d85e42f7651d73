// A TCP proxy that stops after a number of bytes, so that a test knows how far a transfer got.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface StallingProxy extends AsyncDisposable {
  address: string
  /** Resolves when the proxy has forwarded all allowed bytes. */
  stalled: Promise<void>
  /** The bytes received so far, in each direction. */
  moved: { up: number; down: number }
  /** The number of connections that the server refused. */
  refused: () => number
  /** Forwards nothing more from client to server. */
  hold: () => void
  /** Breaks the open connections, and forwards everything on new ones. */
  open: () => void
}

interface Allowance {
  /** Bytes to forward from client to server; no limit by default. */
  up?: number
  /** Bytes to forward from server to client; no limit by default. */
  down?: number
}

export async function startStallingProxy(target: string, allowance: Allowance): Promise<StallingProxy> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const left = { up: allowance.up ?? Infinity, down: allowance.down ?? Infinity }
  const moved = { up: 0, down: 0 }
  const { promise: stalled, resolve: reportStall } = Promise.withResolvers<void>()
  const forward = (from: Socket, to: Socket, way: 'up' | 'down'): void => {
    from.on('data', (chunk: Buffer) => {
      const passed = chunk.subarray(0, Math.max(0, left[way]))
      left[way] -= chunk.length
      moved[way] += chunk.length
      if (left[way] <= 0) {
        from.pause()
        to.write(passed, () => reportStall())
      } else if (!to.write(passed)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
  }
  let refused = 0
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    upstream.once('error', ({ code }: NodeJS.ErrnoException) => (refused += Number(code === 'ECONNREFUSED')))
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
    forward(client, upstream, 'up')
    forward(upstream, client, 'down')
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stalled,
    moved,
    refused: () => refused,
    hold: () => void (left.up = 0),
    open() {
      Object.assign(left, { up: Infinity, down: Infinity })
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}
