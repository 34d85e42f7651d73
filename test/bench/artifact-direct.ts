// The direct lane as `modelkeep` takes it: signed by the service, the bytes straight to and from the store.
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { createHash } from 'node:crypto'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { putToStore, readFromStore } from '../../clients/cli/lanes/store-http.ts'
import { countParts, inParallel, partAt, type Blob, type BlobClient } from './artifact-clients.ts'
import { TOKEN } from './artifact-world.ts'

const SETTINGS = { choice: 'direct' as const, stallMs: 15_000, secure: false, local: true }

export interface DirectLaneClient extends BlobClient {
  /** The upload's last step, in which the service reads the bytes back. */
  complete(): Promise<void>
}

export function directLaneClient(address: string): DirectLaneClient {
  const transport = createGrpcTransport({
    baseUrl: address,
    interceptors: [
      (next) => (request) => {
        request.header.set('authorization', `Bearer ${TOKEN}`)
        return next(request)
      },
    ],
  })
  const uploads = createClient(UploadService, transport)
  const direct = createClient(DirectService, transport)
  const { signal } = new AbortController()
  let uploadId = ''
  return {
    async upload({ bytes, digest }) {
      const { result } = await uploads.startUpload({ digest, sizeBytes: BigInt(bytes.length) })
      if (result.case !== 'upload') throw new Error('the blob is there already')
      uploadId = result.value.id
      await inParallel(countParts(bytes), async (number) => {
        const part = partAt(bytes, number)
        const sha256 = createHash('sha256').update(part).digest()
        const { parts } = await direct.signParts({ uploadId, parts: [{ number, sha256 }] })
        const sending = { body: once(part), onSent: () => {} }
        const etag = await putToStore(SETTINGS, parts[0]!.request!, sending, signal)
        const confirmed = { number, sha256, etag, sizeBytes: BigInt(part.length) }
        await direct.confirmParts({ uploadId, parts: [confirmed] })
      })
    },
    complete: async () => void (await uploads.completeUpload({ uploadId })),
    async download({ bytes, digest }: Blob) {
      const { request } = await direct.getDownloadPlan({ digest })
      let length = 0
      const range = { from: 0, to: bytes.length }
      for await (const chunk of readFromStore(SETTINGS, request!, range, signal)) length += chunk.length
      if (length !== bytes.length) throw new Error(`${length} bytes came instead of ${bytes.length}`)
    },
    close: () => {},
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes
}
