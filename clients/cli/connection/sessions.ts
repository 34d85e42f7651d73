// HTTP/2 connections with large windows: the default window of 64 KiB limits a stream to 3 MiB/s at a latency of 20 ms.
import { Http2SessionManager } from '@connectrpc/connect-node'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'

const STREAM_WINDOW = 12 * 1024 * 1024
const CONNECTION_WINDOW = 16 * 1024 * 1024
const SESSION_MEMORY_MEGABYTES = 256
const PING_INTERVAL_MS = 20_000

export class WideSessionManager extends Http2SessionManager {
  readonly #widened = new WeakSet<ClientHttp2Session>()

  constructor(address: string) {
    super(
      address,
      { pingIntervalMs: PING_INTERVAL_MS },
      {
        settings: { initialWindowSize: STREAM_WINDOW, enablePush: false },
        maxSessionMemory: SESSION_MEMORY_MEGABYTES,
      },
    )
  }

  override async request(...call: Parameters<Http2SessionManager['request']>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...call)
    const { session } = stream
    if (session && 'setLocalWindowSize' in session && !this.#widened.has(session as ClientHttp2Session)) {
      this.#widened.add(session as ClientHttp2Session)
      session.setLocalWindowSize(CONNECTION_WINDOW)
      // The failed call reports the error; without a listener, the error would also end the process.
      session.on('error', () => {})
    }
    return stream
  }
}
