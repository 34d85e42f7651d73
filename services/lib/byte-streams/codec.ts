// Messages from frames and frames from messages, for one side of a method.
import { create, fromBinary, toBinary, type DescMessage, type Message } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { frameChunk, frameMessage, type ChunkField, type Frame } from './frames.ts'
import { findPieces, holdPieces } from './pieces.ts'

export type Decode = (frame: Frame) => Message
export type Encode = (message: Message) => Uint8Array[]

/** A chunk comes in pieces beside its message: see `findPieces`. */
export function createDecode(schema: DescMessage, chunk: ChunkField | undefined): Decode {
  const field = schema.fields.find(({ number }) => number === chunk?.number)
  const oneof = field?.oneof?.localName ?? ''
  return (frame) => {
    if (frame.kind === 'message') return parse(schema, frame.bytes)
    return holdPieces(create(schema, { [oneof]: { case: field!.localName, value: new Uint8Array(0) } }), frame.pieces)
  }
}

/** A chunk may be in the message, too: it is not copied either way. */
export function createEncode(schema: DescMessage, chunk: ChunkField | undefined): Encode {
  const field = schema.fields.find(({ number }) => number === chunk?.number)
  const oneof = field?.oneof?.localName ?? ''
  return (message) => {
    const pieces = chunk && (findPieces(message) ?? soleChunk(message, oneof, field!.localName))
    return pieces ? frameChunk(chunk, pieces) : frameMessage(toBinary(schema, message))
  }
}

function soleChunk(message: Message, oneof: string, name: string): Uint8Array[] | undefined {
  const { case: kind, value } = (message as Message & Record<string, { case?: string; value?: Uint8Array }>)[oneof]!
  return kind === name && value!.length > 0 && !message.$unknown ? [value!] : undefined
}

function parse(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes)
  } catch (error) {
    throw new ConnectError(`parse binary: ${(error as Error).message}`, Code.Internal, undefined, undefined, error)
  }
}
