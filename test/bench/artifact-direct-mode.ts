// The direct transfer mode of `modelkeep`: the service signs requests, and the bytes go directly to and from the store.
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { Semaphore } from '../../clients/cli/transfer/concurrency.ts'
import { DirectParts } from '../../clients/cli/push/direct-parts.ts'
import { hashInTurn } from '../../clients/cli/push/part-body.ts'
import { putToStore, readFromStore } from '../../clients/cli/transfer/store-http.ts'
import { countParts, inParallel, PARALLEL, partAt, type Blob, type BlobClient } from './artifact-clients.ts'
import { TOKEN } from './artifact-world.ts'

const SETTINGS = { mode: 'direct' as const, stallMs: 15_000, secure: false, local: true }

export interface DirectModeClient extends BlobClient {
  /** Completes the upload, for which the service reads the bytes back. */
  complete(): Promise<void>
}

export function directModeClient(address: string): DirectModeClient {
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
      const parts = new DirectParts({ signal, artifact: () => direct as never }, uploadId, countParts(bytes))
      const slots = new Semaphore(PARALLEL)
      // The same number of parts is hashed meanwhile.
      const work = async (number: number): Promise<void> => {
        const part = partAt(bytes, number)
        const sha256 = await hashInTurn(part, signal)
        await parts.upload({ number, size: part.length, sha256 }, (request) =>
          slots.run(signal, () => putToStore(SETTINGS, request, { body: once(part), onSent: () => {} }, signal)),
        )
      }
      await inParallel(countParts(bytes), work, 2 * PARALLEL)
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
