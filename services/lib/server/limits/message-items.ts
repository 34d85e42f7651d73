// Limits the cost of decoding a message. 4 MiB can hold two million items, each of which becomes an object, within one iteration
// of the event loop. Counting the items in the bytes costs far less, and stops at the limit.
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf'
import { WireType } from '@bufbuild/protobuf/wire'
import { Code, ConnectError } from '@connectrpc/connect'

/** The limit on the list items, map entries, messages and unknown fields of one message, summed over all levels. */
export const MAX_ITEMS = 100_000
/** The nesting depth at which the codec rejects a message. */
const MAX_DEPTH = 100

/** Throws RESOURCE_EXHAUSTED for a message with too many items. The codec rejects bytes that are not a message. */
export function requireFewItems(schema: DescMessage, bytes: Uint8Array): void {
  new ItemCounter(bytes).count(shapeOf(schema), bytes.length, 0)
}

/** Throws RESOURCE_EXHAUSTED for JSON with too many object members and list items. */
export function requireFewJsonItems(bytes: Uint8Array): void {
  let items = 0
  let isText = false
  for (let at = 0; at < bytes.length; at += 1) {
    const sign = bytes[at]
    if (sign === QUOTE) isText = !isText
    else if (isText) at += sign === BACKSLASH ? 1 : 0
    else if (sign === COMMA || sign === BRACE || sign === BRACKET) items += 1
    if (items > MAX_ITEMS) failItems()
  }
}

const [QUOTE, BACKSLASH, COMMA, BRACE, BRACKET] = Buffer.from('"\\,{[')

function failItems(): never {
  const message = `message has more than ${MAX_ITEMS} list items, map entries and nested messages`
  throw new ConnectError(message, Code.ResourceExhausted)
}

/** The content of a field: one value, values of a list, numbers of a list, which may be packed, or messages. */
type Content = 'value' | 'values' | 'numbers' | Shape
/** The contents of a message by the number of the field. */
type Shape = Map<number, Content>

const shapes = new WeakMap<DescMessage, Shape>()

function shapeOf(schema: DescMessage): Shape {
  const known = shapes.get(schema)
  if (known) return known
  const shape: Shape = new Map()
  // A message may contain itself.
  shapes.set(schema, shape)
  for (const field of schema.fields) shape.set(field.number, contentOf(field))
  return shape
}

function contentOf(field: DescField): Content {
  if (field.fieldKind === 'map') {
    return new Map<number, Content>([[2, field.message ? shapeOf(field.message) : 'value']]).set(1, 'value')
  }
  if (field.message) return shapeOf(field.message)
  if (field.fieldKind !== 'list') return 'value'
  return field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES ? 'values' : 'numbers'
}

class ItemCounter {
  readonly #bytes: Uint8Array
  #at = 0
  #items = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  count(shape: Shape, end: number, depth: number): void {
    while (this.#at < end) {
      const tag = this.#varint()
      const content = shape.get(Math.floor(tag / 8))
      const wireType = (tag % 8) as WireType
      if (content !== 'value' && content !== 'numbers') this.#add(1)
      if (wireType === WireType.LengthDelimited) this.#countBytes(content, end, depth)
      else this.#skip(wireType, content)
    }
  }

  #countBytes(content: Content | undefined, end: number, depth: number): void {
    const until = Math.min(end, this.#varint() + this.#at)
    if (content instanceof Map && depth < MAX_DEPTH) this.count(content, until, depth + 1)
    if (content === 'numbers') this.#countNumbers(until)
    this.#at = until
  }

  /** Each number ends with a byte below 0x80. */
  #countNumbers(until: number): void {
    for (let at = this.#at; at < until; at += 1) if (this.#bytes[at]! < 0x80) this.#add(1)
  }

  #skip(wireType: WireType, content: Content | undefined): void {
    if (content === 'numbers') this.#add(1)
    if (wireType === WireType.Varint) this.#varint()
    else if (wireType === WireType.Bit64) this.#at += 8
    else if (wireType === WireType.Bit32) this.#at += 4
  }

  #varint(): number {
    let value = 0
    let factor = 1
    for (let byte = 0x80; byte >= 0x80 && this.#at < this.#bytes.length; this.#at += 1) {
      byte = this.#bytes[this.#at]!
      value += (byte % 0x80) * factor
      factor *= 0x80
    }
    return value
  }

  #add(count: number): void {
    this.#items += count
    if (this.#items > MAX_ITEMS) failItems()
  }
}
