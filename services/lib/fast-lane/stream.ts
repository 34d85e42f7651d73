// Frames on an HTTP/2 stream, with the pace of the slower end.
import { Code, ConnectError } from '@connectrpc/connect'
import { once } from 'node:events'
import type { Http2Stream } from 'node:http2'
import type { Frame, FrameReader } from './frames.ts'

/** Frames as they become whole. While none is asked for, nothing is read, and the peer's window closes. */
export async function* readFrames(
  stream: Http2Stream,
  reader: FrameReader,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const frames: Frame[] = []
  const incoming = { ended: false, failed: false, failure: undefined as unknown, wake: () => {} }
  const fail = (failure: unknown): void => {
    if (incoming.failed) return
    Object.assign(incoming, { failed: true, failure })
    incoming.wake()
  }
  const onData = (bytes: Buffer): void => {
    if (incoming.failed) return
    try {
      reader.read(bytes, frames)
    } catch (error) {
      fail(error)
    }
    if (frames.length === 0 && !incoming.failed) return
    stream.pause()
    incoming.wake()
  }
  const onEnd = (): void => {
    incoming.ended = true
    incoming.wake()
  }
  const onClose = (): void => void (incoming.ended || fail(new ConnectError('the other end has gone', Code.Canceled)))
  const onAbort = (): void => fail(signal.reason)
  stream.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose)
  signal.addEventListener('abort', onAbort, { once: true })
  // A request without a body has ended by itself before.
  if (stream.readableEnded) onEnd()
  if (stream.destroyed) onClose()
  if (signal.aborted) onAbort()
  try {
    for (;;) {
      const frame = frames.shift()
      if (frame) yield frame
      else if (incoming.failed) throw incoming.failure
      else if (incoming.ended) return reader.end()
      else {
        const { promise, resolve } = Promise.withResolvers<void>()
        incoming.wake = resolve
        stream.resume()
        await promise
      }
    }
  } finally {
    stream.pause()
    stream.off('data', onData).off('end', onEnd).off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  }
}

/** Hands the buffers over in one piece, and waits until the peer's window and the socket have taken them. */
export async function writeFrame(stream: Http2Stream, buffers: Uint8Array[]): Promise<void> {
  if (stream.destroyed) throw new ConnectError('the other end has gone', Code.Canceled)
  stream.cork()
  for (const buffer of buffers) stream.write(buffer)
  stream.uncork()
  if (!stream.writableNeedDrain) return
  const gone = new AbortController()
  const onClose = (): void => gone.abort()
  stream.once('close', onClose)
  try {
    await once(stream, 'drain', { signal: gone.signal })
  } catch {
    throw new ConnectError('the other end has gone', Code.Canceled)
  } finally {
    stream.off('close', onClose)
  }
}
