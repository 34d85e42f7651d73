// Sockets to the S3 server, over TCP or TLS, that read into memory of the caller.
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Bytes that are handed to the socket at once. Node's default of 64 KiB takes twice the time. */
const WRITE_BUFFER = 1024 * 1024

export interface Address {
  isSecure: boolean
  host: string
  port: number
}

export interface Reading {
  /** Where the next bytes go to. */
  buffer(): Uint8Array
  /** Receives the number of bytes that were read. False pauses the socket. */
  callback(count: number): boolean
}

/** `url`: `http://host:port` or `https://…`. */
export function addressOf(url: URL): Address {
  const isSecure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { isSecure, host, port: Number(url.port || (isSecure ? 443 : 80)) }
}

export function openSocket({ isSecure, host, port }: Address, onread: Reading): Socket {
  const options = { host, port, noDelay: true, highWaterMark: WRITE_BUFFER, onread }
  // Node's types have no `onread` that chooses its buffer for each read, and none for TLS.
  if (!isSecure) return connectTcp(options as never)
  return connectTls({ ...options, ...(isIP(host) === 0 && { servername: host }) } as never)
}

/** Writes pieces together, in one write if the socket takes them all. `drained` waits while the socket is full. */
export async function writePieces(
  socket: Socket,
  pieces: readonly Uint8Array[],
  drained: () => Promise<void>,
): Promise<void> {
  for (const piece of pieces) {
    if (socket.writableNeedDrain) {
      socket.uncork()
      await drained()
      if (socket.destroyed) return
    }
    if (socket.writableCorked === 0) socket.cork()
    socket.write(piece)
  }
  socket.uncork()
}
