// A registry for pulls that returns what a test defines, such as wrong bytes, which a real server never sends.
import type { Interceptor } from '@connectrpc/connect'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { ModelkeepError, type Reason } from '#lib/errors/errors.ts'
import { toConnectError } from '#lib/errors/connect-error.ts'

export interface FakeFile {
  path: string
  bytes: Buffer
}

export interface FakeResponses {
  /** The digest that the version claims to have. */
  digest?: string
  /** Replaces a chunk by other bytes than the digest requires. */
  corrupt?: (chunk: Buffer, offset: number) => Buffer
  /** Whether to cut the connection before this chunk, after the previous chunks were sent. */
  cutBefore?: () => boolean
  /** The reason with which the first call of each RPC fails. */
  failFirst?: Reason
  /** Awaited before the bytes of each download. */
  hold?: () => Promise<void>
  /** Ends each stream without an error after this number of bytes. */
  endAfter?: number
}

export interface FakeRegistry extends AsyncDisposable {
  address: string
  digest: string
  /** Names of the RPCs called, in order. */
  calls: string[]
  /** Returns the number of bytes that downloads sent. */
  sent: () => number
}

const PART = 64 * 1024
const CHUNK = 16 * 1024

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function manifestOf(files: FakeFile[]): Buffer {
  const layers = files.map(({ path, bytes }) => ({
    mediaType: 'application/vnd.cncf.model.weight.v1.raw',
    digest: sha256(bytes),
    size: bytes.length,
    annotations: { 'org.cncf.model.filepath': path },
  }))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, layers }))
}

export async function startFakeRegistry(files: FakeFile[], fakes: FakeResponses = {}): Promise<FakeRegistry> {
  const content = manifestOf(files)
  const digest = fakes.digest ?? sha256(content)
  const blobs = new Map(files.map(({ bytes }) => [sha256(bytes), bytes]))
  const sockets = new Set<Socket>()
  let sent = 0
  const describe = (name: string) => {
    const bytes = blobs.get(name)!
    const parts = Array.from({ length: Math.ceil(bytes.length / PART) }, (_, index) =>
      createHash('sha256')
        .update(bytes.subarray(index * PART, (index + 1) * PART))
        .digest(),
    )
    const isOne = parts.length < 2
    const partSizeBytes = isOne ? 0n : BigInt(PART)
    return { digest: name, sizeBytes: BigInt(bytes.length), partSizeBytes, partSha256s: isOne ? [] : parts }
  }
  const calls: string[] = []
  const note: Interceptor = (next) => (request) => {
    const { localName } = request.method
    const isFirst = !calls.includes(localName)
    calls.push(localName)
    if (isFirst && fakes.failFirst) throw toConnectError(new ModelkeepError(fakes.failFirst, 'failed once'))
    return next(request)
  }
  const handler = connectNodeAdapter({
    interceptors: [note],
    routes(router) {
      router.rpc(VersionService.method.resolveVersion, () => ({
        version: { id: '0199aaaa-0000-7000-8000-000000000001', namespace: 'default', model: 'vad', number: 1, digest },
      }))
      router.rpc(ManifestService.method.getManifest, () => ({ manifest: { digest, content } }))
      router.rpc(BlobService.method.getBlob, (request) => ({ blob: describe(request.digest) }))
      router.rpc(BlobService.method.downloadBlob, async function* (request) {
        const bytes = blobs.get(request.digest)!
        const offset = Number(request.offset)
        const end = Math.min(bytes.length, request.length > 0n ? offset + Number(request.length) : bytes.length)
        const header = { blob: describe(request.digest), offset: request.offset, length: BigInt(end - offset) }
        yield { message: { case: 'header' as const, value: header } }
        await fakes.hold?.()
        for (let at = offset; at < Math.min(end, offset + (fakes.endAfter ?? Infinity)); at += CHUNK) {
          const chunk = Buffer.from(bytes.subarray(at, Math.min(end, at + CHUNK)))
          if (fakes.cutBefore?.()) {
            await setTimeout(20)
            for (const socket of sockets) socket.destroy()
            return
          }
          sent += chunk.length
          yield { message: { case: 'chunk' as const, value: fakes.corrupt?.(chunk, at) ?? chunk } }
        }
      })
    },
  })
  const server = createServer(handler)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    address: `http://127.0.0.1:${port}`,
    digest,
    calls,
    sent: () => sent,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      // The close is not awaited, because Node's HTTP/2 server never reports it after a client has abandoned a stream.
      server.close()
    },
  }
}
