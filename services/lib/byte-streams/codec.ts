// Messages from frames and frames from messages, for one direction of a method.
import { create, fromBinary, toBinary, type DescMessage, type Message } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { Chunk } from './chunk.ts'
import { frameChunk, frameMessage, type ChunkField, type Frame } from './frames.ts'

export type Decode = (frame: Frame) => Message
export type Encode = (message: Message) => Uint8Array[]

/** The message of a chunk frame holds the `Chunk` in its chunk field: read it with `fromField`. `check` throws for the bytes of
 * a message that must not be decoded. */
export function createDecode(
  schema: DescMessage,
  field: ChunkField | undefined,
  check: (bytes: Uint8Array) => void = () => {},
): Decode {
  const { oneof, name } = findNames(schema, field)
  return (frame) => {
    if (frame.kind === 'message') {
      check(frame.bytes)
      return parse(schema, frame.bytes)
    }
    return create(schema, { [oneof]: { case: name, value: frame.chunk } })
  }
}

/** Copies no chunk, whether the message holds a `Chunk` or plain bytes. */
export function createEncode(schema: DescMessage, field: ChunkField | undefined): Encode {
  const { oneof, name } = findNames(schema, field)
  return (message) => {
    const pieces = field && findPieces(message, oneof, name)
    return pieces ? frameChunk(field, pieces) : frameMessage(toBinary(schema, message))
  }
}

function findNames(schema: DescMessage, chunk: ChunkField | undefined): { oneof: string; name: string } {
  const field = schema.fields.find(({ number }) => number === chunk?.number)
  return { oneof: field?.oneof?.localName ?? '', name: field?.localName ?? '' }
}

/** The pieces of a message that is nothing but a chunk. */
function findPieces(message: Message, oneof: string, name: string): readonly Uint8Array[] | undefined {
  const { case: kind, value } = (message as Message & Record<string, { case?: string; value?: Uint8Array }>)[oneof]!
  if (kind !== name) return undefined
  if (value instanceof Chunk) return value.pieces
  return value!.length > 0 && !message.$unknown ? [value!] : undefined
}

function parse(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes)
  } catch (error) {
    throw new ConnectError(`parse binary: ${(error as Error).message}`, Code.Internal, undefined, undefined, error)
  }
}
