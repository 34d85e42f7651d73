// An upload over HTTP/1.1 that takes longer than the five minutes after which Node ends a request by itself.
import { ConnectError, createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { reasonOf } from '../../services/lib/errors/read-error.ts'
import { blobMessages, makeBytes } from '../support/bytes.ts'

const CHUNKS = 66
const PAUSE_MS = 5_000
/** The minimum duration of a soak with such an upload. */
export const SLOW_UPLOAD_SECONDS = (CHUNKS * PAUSE_MS) / 1000 + 30

/** Returns the error; undefined if the upload succeeded, or all bytes arrived and only the store failed. */
export async function uploadSlowly(baseUrl: string, token: string, name: string): Promise<string | undefined> {
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: '1.1',
    interceptors: [
      (next) => (request) => {
        request.header.set('authorization', `Bearer ${token}`)
        return next(request)
      },
    ],
  })
  const bytes = makeBytes(CHUNKS * 1000, name)
  const messages = blobMessages(bytes, { chunkBytes: 1000, onChunk: () => sleep(PAUSE_MS) })
  try {
    await createClient(BlobService, transport).uploadBlob(messages)
    return undefined
  } catch (error) {
    const failure = ConnectError.from(error)
    return reasonOf(failure)?.reason === 'DEPENDENCY_UNAVAILABLE' ? undefined : `slow upload: ${failure.message}`
  }
}
