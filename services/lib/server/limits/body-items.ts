// Checks the items of a request in its bytes, before the codec decodes it.
import type { DescMethod } from '@bufbuild/protobuf'
import type { UniversalServerRequest } from '@connectrpc/connect/protocol'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { accessRuleOf } from '../../access/method-rules.ts'
import { requireFewItems, requireFewJsonItems } from './message-items.ts'

const ENVELOPE_BYTES = 5
const COMPRESSED = 1
const unzip = promisify(gunzip)

type Request = Pick<UniversalServerRequest, 'header' | 'body'>

/** Throws RESOURCE_EXHAUSTED for a request message with too many items. Peers are trusted: their events may have more. */
export function limitItems(method: DescMethod, message: Uint8Array, isJson = false): void {
  if (accessRuleOf(method).permission === Permission.SERVICE) return
  if (isJson) requireFewJsonItems(message)
  else requireFewItems(method.input, message)
}

/** Returns the body of a call, with a limit on the items of its request message if the call has only one. The chunk that
 * completes the message is yielded after the check, all other chunks at once, so that the library rejects a body as early as
 * without the check. */
export function checkBody(method: DescMethod, { header, body }: Request, maxBytes: number): Request['body'] {
  const hasOneRequest = method.methodKind === 'unary' || method.methodKind === 'server_streaming'
  if (!hasOneRequest || !isStream(body)) return body
  const type = header.get('content-type') ?? ''
  const isEncoded = header.get('content-encoding') === 'gzip'
  const check = async (message: Uint8Array, isZipped = isEncoded): Promise<void> => {
    const plain = isZipped ? await unzip(message, { maxOutputLength: maxBytes }).catch(() => NO_MESSAGE) : message
    limitItems(method, plain, /json/i.test(type))
  }
  return /^application\/(grpc|connect)/i.test(type) ? checkEnvelopes(body, check) : checkWhole(body, maxBytes, check)
}

/** Stands for a message that cannot be decompressed. The library reports the error. */
const NO_MESSAGE = new Uint8Array()

type Check = (message: Uint8Array, isZipped?: boolean) => Promise<void>

function isStream(body: Request['body']): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body
}

async function* checkWhole(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  check: Check,
): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of body) {
    if (length > 0) yield pieces.at(-1)!
    // The library has already rejected a body that exceeds the limit.
    if (length > maxBytes) return
    pieces.push(piece)
    length += piece.length
  }
  if (pieces.length === 0) return
  if (length <= maxBytes) await check(Buffer.concat(pieces))
  yield pieces.at(-1)!
}

/** Checks the first two messages, because the library decodes a second message before it reports the error. */
async function* checkEnvelopes(body: AsyncIterable<Uint8Array>, check: Check): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = []
  let length = 0
  let end = Infinity
  let messages = 0
  for await (const piece of body) {
    if (messages < 2) pieces.push(piece)
    length += piece.length
    if (end === Infinity && length >= ENVELOPE_BYTES) end = endOfMessage(pieces)
    while (length >= end && messages < 2) {
      const received = Buffer.concat(pieces)
      await check(received.subarray(ENVELOPE_BYTES, end), (received[0]! & COMPRESSED) !== 0)
      messages += 1
      pieces = [received.subarray(end)]
      length -= end
      end = length >= ENVELOPE_BYTES ? endOfMessage(pieces) : Infinity
    }
    yield piece
  }
}

function endOfMessage(pieces: Uint8Array[]): number {
  return ENVELOPE_BYTES + Buffer.concat(pieces, ENVELOPE_BYTES).readUInt32BE(1)
}
