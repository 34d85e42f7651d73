// gRPC requests that no client library would send.
import { create, toBinary } from '@bufbuild/protobuf'
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import { UploadBlobRequestSchema } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { WritePartRequestSchema } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { digestOf, sha256 } from './bytes.ts'

export function openSession(address: string): ClientHttp2Session {
  const session = connect(address)
  session.on('error', () => {})
  return session
}

/** `method` is for example `BlobService/UploadBlob`. */
export function openStream(session: ClientHttp2Session, method: string, token = 'alice'): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': `/modelkeep.artifact.v1.${method}`,
    'content-type': 'application/grpc+proto',
    te: 'trailers',
    authorization: `Bearer ${token}`,
  })
  stream.on('error', () => {})
  return stream
}

/** Returns the status in the headers or trailers of a stream; undefined if the stream breaks. */
export function statusOf(stream: ClientHttp2Stream): Promise<string | undefined> {
  stream.resume()
  return new Promise((resolve) => {
    const settle = (headers: IncomingHttpHeaders): void => {
      const status = headers['grpc-status']
      if (status !== undefined) resolve(String(status))
    }
    stream.on('response', settle)
    stream.on('trailers', settle)
    stream.once('close', () => resolve(undefined))
  })
}

/** A message with its header of five bytes. */
export function frame(message: Uint8Array): Buffer {
  return Buffer.concat([frameHead(message.length), message])
}

export function frameHead(length: number, flags = 0): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(flags)
  head.writeUInt32BE(length, 1)
  return head
}

/** The messages of an upload in one stream. */
export function uploadFrames(bytes: Uint8Array, chunkBytes = 500_000): Buffer[] {
  const header = { digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) }
  const messages = [create(UploadBlobRequestSchema, { message: { case: 'header', value: header } })]
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const value = bytes.subarray(at, at + chunkBytes)
    messages.push(create(UploadBlobRequestSchema, { message: { case: 'chunk', value } }))
  }
  return messages.map((message) => frame(toBinary(UploadBlobRequestSchema, message)))
}

/** The messages of a whole part. */
export function partFrames(uploadId: string, number: number, bytes: Uint8Array, chunkBytes = 500_000): Buffer[] {
  const header = { uploadId, number, sha256: sha256(bytes) }
  const messages = [create(WritePartRequestSchema, { message: { case: 'header', value: header } })]
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const value = bytes.subarray(at, at + chunkBytes)
    messages.push(create(WritePartRequestSchema, { message: { case: 'chunk', value } }))
  }
  return messages.map((message) => frame(toBinary(WritePartRequestSchema, message)))
}
