// Requests for any RPC, generated from its descriptor.
import { create, ScalarType, type DescField, type DescMessage, type Message } from '@bufbuild/protobuf'
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect'

/** The values for fields: by name, with or without the message (`id`, `GetPromotionRequest.id`), and otherwise by kind. */
export interface Filling {
  strings: Record<string, string>
  string: (field: DescField) => string
  number: number
  bytes: Uint8Array
  /** Names of fields to leave empty, with or without the message: `etag`, `Gate.etag`. */
  leaveOut?: string[]
}

/** Returns a request with every field set; in a oneof, the field `name` or else the first. */
export function fillRequest(desc: DescMessage, filling: Filling): Message {
  return fill(desc, filling, 0)
}

const MAX_DEPTH = 4
const WIDE = [ScalarType.INT64, ScalarType.UINT64, ScalarType.SINT64, ScalarType.FIXED64, ScalarType.SFIXED64]

function fill(desc: DescMessage, filling: Filling, depth: number): Message {
  const message = create(desc)
  const view = reflect(desc, message)
  for (const field of desc.fields) {
    const names = [field.name, `${desc.name}.${field.name}`]
    const isLeftOut = depth >= MAX_DEPTH || filling.leaveOut?.some((name) => names.includes(name))
    if (!isLeftOut && isChosen(field)) set(view, field, filling, depth)
  }
  return message
}

function isChosen(field: DescField): boolean {
  if (!field.oneof) return true
  const chosen = field.oneof.fields.find(({ name }) => name === 'name') ?? field.oneof.fields[0]
  return chosen === field
}

function set(view: ReflectMessage, field: DescField, filling: Filling, depth: number): void {
  const nested = (desc: DescMessage) => reflect(desc, fill(desc, filling, depth + 1))
  switch (field.fieldKind) {
    case 'scalar':
      return view.set(field, scalar(field, filling))
    case 'enum':
      return view.set(field, 1)
    case 'message':
      if (field.message.typeName === 'google.protobuf.FieldMask') {
        return view.set(field, reflect(field.message, create(field.message, { paths: ['description'] })))
      }
      return view.set(field, nested(field.message))
    case 'list':
      if (field.listKind === 'message') view.get(field).add(nested(field.message))
      else if (field.listKind === 'scalar') view.get(field).add(scalar(field, filling))
      return
    default:
      if (field.mapKind === 'scalar') view.get(field).set('key', filling.string(field))
  }
}

function scalar(field: DescField, filling: Filling): unknown {
  const type = field.scalar!
  if (type === ScalarType.STRING)
    return filling.strings[`${field.parent.name}.${field.name}`] ?? filling.strings[field.name] ?? filling.string(field)
  if (type === ScalarType.BYTES) return filling.bytes
  if (type === ScalarType.BOOL) return true
  if (type === ScalarType.DOUBLE) return filling.number
  const whole = Math.trunc(filling.number)
  return WIDE.includes(type) ? BigInt(whole) : whole
}
