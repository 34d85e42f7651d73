// Building blocks of faults: they read bodies, forward answers, or withhold them.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

export type Operation =
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'
  | 'ListUploads'
  | 'ListParts'
  | 'PutObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObject'
  | 'Bucket'

/** One request that passes the proxy. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** Forwards the request, with its own body or the given one, and returns the answer of the store. */
  forward(body?: Buffer): Promise<IncomingMessage>
}

export async function bodyOf(message: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

export function cut({ request }: Exchange): void {
  request.socket.resetAndDestroy()
}

export async function refuse(exchange: Exchange, status: number, code: string): Promise<void> {
  await bodyOf(exchange.request)
  const error = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code} on purpose</Message></Error>`
  exchange.response.writeHead(status, { 'content-type': 'application/xml' })
  exchange.response.end(exchange.request.method === 'HEAD' ? undefined : error)
}

export function passOn({ response }: Exchange, answer: IncomingMessage, changed: object = {}): void {
  response.writeHead(answer.statusCode!, { ...answer.headers, ...changed })
  answer.on('error', () => response.destroy())
  response.once('close', () => answer.destroy())
  answer.pipe(response)
}

/** The head of the answer and the first half of its body. */
export async function passHalf({ response }: Exchange, answer: IncomingMessage): Promise<void> {
  const body = await bodyOf(answer)
  response.writeHead(answer.statusCode!, answer.headers)
  response.flushHeaders()
  await new Promise((resolve) => {
    response.write(body.subarray(0, Math.max(1, body.length / 2)), resolve)
  })
}

/** Whether the store completed the upload. An answer with status 200 may hold an error in its body. */
export async function completedOf(answer: IncomingMessage): Promise<{ whole: IncomingMessage; done: boolean }> {
  const body = await bodyOf(answer)
  const whole = Object.assign(Readable.from([body], { objectMode: false }), {
    statusCode: answer.statusCode,
    headers: answer.headers,
  }) as unknown as IncomingMessage
  return { whole, done: answer.statusCode === 200 && body.includes('<CompleteMultipartUploadResult') }
}
