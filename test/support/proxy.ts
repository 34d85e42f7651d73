// A TCP proxy that lets so many bytes through and then nothing more, so that a test knows how far a transfer got.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface StallingProxy extends AsyncDisposable {
  address: string
  /** Resolves when it has let through what it may. */
  stalled: Promise<void>
  /** How many bytes came so far, each way. */
  moved: { up: number; down: number }
  /** How many connections the server has not taken. */
  refused: () => number
  /** Lets nothing more through from client to server. */
  hold: () => void
  /** Breaks what is under way, and lets everything through on new connections. */
  open: () => void
}

interface Allowance {
  /** Bytes from client to server; all when not given. */
  up?: number
  /** Bytes from server to client; all when not given. */
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
