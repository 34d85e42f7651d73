// Direct transfers by a client: signed requests to the store.
import type { Client } from '@connectrpc/connect'
import type { DirectService, SignedRequest } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import type { Upload } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { request as sendRequest } from 'node:http'
import { partOf, sha256 } from './bytes.ts'

export interface StoreAnswer {
  status: number
  etag: string
  /** The S3 error code; empty if the request succeeded. */
  code: string
  body: Buffer
}

export function send(signed: SignedRequest, body?: Uint8Array, headers: Record<string, string> = {}) {
  return new Promise<StoreAnswer>((resolve, reject) => {
    const options = { method: signed.method, headers: { ...signed.headers, ...headers } }
    const sent = sendRequest(signed.url, options, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const whole = Buffer.concat(chunks)
        const code = /<Code>(\w+)<\/Code>/.exec(whole.subarray(0, 4096).toString())?.[1] ?? ''
        resolve({ status: answer.statusCode!, etag: answer.headers.etag ?? '', code, body: whole })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

export async function signPart(
  direct: Client<typeof DirectService>,
  upload: Upload,
  number: number,
  part: Uint8Array,
): Promise<SignedRequest> {
  const { parts } = await direct.signParts({ uploadId: upload.id, parts: [{ number, sha256: sha256(part) }] })
  return parts[0]!.request!
}

/** Signs, sends and confirms part `number`. */
export async function putPart(
  direct: Client<typeof DirectService>,
  upload: Upload,
  bytes: Uint8Array,
  number: number,
): Promise<void> {
  const part = partOf(bytes, upload, number)
  const { status, etag, code } = await send(await signPart(direct, upload, number, part), part)
  if (status !== 200) throw new Error(`the store answered ${status} ${code}`)
  await direct.confirmParts({ uploadId: upload.id, parts: [confirmed(number, part, etag)] })
}

export function confirmed(number: number, part: Uint8Array, etag: string) {
  return { number, sha256: sha256(part), etag, sizeBytes: BigInt(part.length) }
}
