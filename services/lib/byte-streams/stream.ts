// Reading and writing frames on an HTTP/2 stream, with flow control in both directions.
import { Code, ConnectError } from '@connectrpc/connect'
import type { Http2Stream } from 'node:http2'
import { recycle } from './blocks.ts'
import type { BodyTimer } from '../server/limits/body-timer.ts'
import type { Frame, FrameReader } from './frames.ts'

/** How long a client may go on sending after it got the answer. */
export const LINGER_MS = 5_000

export interface ReadOptions {
  signal: AbortSignal
  /** Counts the bytes that arrive. */
  timer?: BodyTimer | undefined
  /** The code of the error when the peer closes the stream early. Default CANCELED. */
  closedCode?: Code
}

/** Yields each frame when it is complete. Between two calls of `next`, the stream is paused and the window of the peer
 * closes. */
export async function* readFrames(
  stream: Http2Stream,
  reader: FrameReader,
  options: ReadOptions,
): AsyncGenerator<Frame> {
  const incoming = new Incoming(stream, reader, options)
  try {
    for (let frame = await incoming.next(); frame; frame = await incoming.next()) yield frame
  } finally {
    incoming.close()
  }
}

class Incoming {
  readonly #stream: Http2Stream
  readonly #reader: FrameReader
  readonly #signal: AbortSignal
  readonly #timer: BodyTimer | undefined
  readonly #closedCode: Code
  readonly #frames: Frame[] = []
  #ended = false
  #failure: { reason: unknown } | undefined
  #wake = (): void => {}

  constructor(stream: Http2Stream, reader: FrameReader, { signal, timer, closedCode = Code.Canceled }: ReadOptions) {
    this.#closedCode = closedCode
    this.#timer = timer
    this.#stream = stream
    this.#reader = reader
    this.#signal = signal
    // An error may follow the last frame, so its listener is never removed.
    stream.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onClose)
    signal.addEventListener('abort', this.#onAbort, { once: true })
    // A request without a body has ended already.
    if (stream.readableEnded) this.#onEnd()
    if (stream.destroyed) this.#onClose()
    if (signal.aborted) this.#onAbort()
  }

  /** Undefined at the end. */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame) return frame
      if (this.#failure) throw this.#failure.reason
      if (this.#ended) return this.#reader.end()
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      this.#stream.resume()
      await promise
    }
  }

  close(): void {
    this.#stream.pause()
    this.#stream.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
    this.#signal.removeEventListener('abort', this.#onAbort)
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#failure) return
    this.#timer?.count(bytes.length)
    try {
      this.#reader.read(bytes, this.#frames)
    } catch (error) {
      this.#fail(error)
    }
    if (this.#frames.length === 0 && !this.#failure) return
    this.#stream.pause()
    this.#wake()
  }

  readonly #onEnd = (): void => {
    this.#ended = true
    this.#wake()
  }

  readonly #onClose = (): void => {
    if (!this.#ended) this.#fail(closed(this.#closedCode))
  }

  readonly #onAbort = (): void => this.#fail(this.#signal.reason)

  #fail(reason: unknown): void {
    this.#failure ??= { reason }
    this.#wake()
  }
}

/** Writes the buffers of a frame at once, waits until the window of the peer and the socket have accepted them, and
 * recycles their memory blocks. */
export async function writeFrame(stream: Http2Stream, buffers: Uint8Array[]): Promise<void> {
  if (stream.destroyed) throw closed()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onClose = (): void => reject(closed())
  stream.once('close', onClose)
  stream.cork()
  buffers.forEach((buffer, index) => {
    if (index < buffers.length - 1) stream.write(buffer)
    else stream.write(buffer, (error) => (error ? reject(closed()) : resolve()))
  })
  stream.uncork()
  try {
    await promise
    buffers.forEach(recycle)
  } finally {
    stream.off('close', onClose)
  }
}

function closed(code = Code.Canceled): ConnectError {
  return new ConnectError('the peer closed the stream', code)
}
