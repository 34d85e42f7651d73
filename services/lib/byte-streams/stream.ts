// Frames on an HTTP/2 stream, with the pace of the slower end.
import { Code, ConnectError } from '@connectrpc/connect'
import type { Http2Stream } from 'node:http2'
import { giveBack } from './blocks.ts'
import type { Frame, FrameReader } from './frames.ts'

/** Frames as they become whole. While none is asked for, nothing is read, and the peer's window closes. */
export async function* readFrames(
  stream: Http2Stream,
  reader: FrameReader,
  signal: AbortSignal,
  /** Of the error where the stream breaks off. */
  broken = Code.Canceled,
): AsyncGenerator<Frame> {
  const incoming = new Incoming(stream, reader, signal, broken)
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
  readonly #broken: Code
  readonly #frames: Frame[] = []
  #ended = false
  #failure: { reason: unknown } | undefined
  #wake = (): void => {}

  constructor(stream: Http2Stream, reader: FrameReader, signal: AbortSignal, broken: Code) {
    this.#broken = broken
    this.#stream = stream
    this.#reader = reader
    this.#signal = signal
    // Errors may come after the last frame, too.
    stream.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onClose)
    signal.addEventListener('abort', this.#onAbort, { once: true })
    // A request without a body has ended by itself before.
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
    if (!this.#ended) this.#fail(new ConnectError('the other end has gone', this.#broken))
  }

  readonly #onAbort = (): void => this.#fail(this.#signal.reason)

  #fail(reason: unknown): void {
    this.#failure ??= { reason }
    this.#wake()
  }
}

/** Hands the buffers over in one piece, and waits until the peer's window and the socket have taken them. What was lent of
 * blocks is given back then. */
export async function writeFrame(stream: Http2Stream, buffers: Uint8Array[]): Promise<void> {
  if (stream.destroyed) throw gone()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onClose = (): void => reject(gone())
  stream.once('close', onClose)
  stream.cork()
  buffers.forEach((buffer, index) => {
    if (index < buffers.length - 1) stream.write(buffer)
    else stream.write(buffer, (error) => (error ? reject(gone()) : resolve()))
  })
  stream.uncork()
  try {
    await promise
    buffers.forEach(giveBack)
  } finally {
    stream.off('close', onClose)
  }
}

function gone(): ConnectError {
  return new ConnectError('the other end has gone', Code.Canceled)
}
