import { create, fromBinary, toBinary, toJsonString } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { expect, test } from 'vitest'
import { CreateManifestRequestSchema } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { ParameterSchema, VersionFactsSchema } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { CreateModelRequestSchema } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { CreateVersionRequestSchema } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { MAX_ITEMS, requireFewItems, requireFewJsonItems } from '../../services/lib/server/limits/message-items.ts'

const TOO_MANY = `message has more than ${MAX_ITEMS} list items, map entries and nested messages`
const labelsOf = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, '']))
const manifestOf = (count: number) =>
  create(CreateManifestRequestSchema, { files: Array.from({ length: count }, () => ({})) })
const modelOf = (count: number) => create(CreateModelRequestSchema, { name: 'vad', labels: labelsOf(count) })
const numberOf = (schema: { fields: { name: string; number: number }[] }, name: string): number =>
  schema.fields.find((field) => field.name === name)!.number

/** The facts of a version with one parameter, a list of numbers. */
function listOf(count: number) {
  const values = Array.from({ length: count }, () => ({ kind: { case: 'numberValue' as const, value: 1 } }))
  const value = { kind: { case: 'listValue' as const, value: { values } } }
  return toBinary(
    CreateVersionRequestSchema,
    create(CreateVersionRequestSchema, { facts: { parameters: [{ name: 'p', value }] } }),
  )
}

function shapeOf(count: number) {
  const shape = Array.from({ length: count }, (_, index) => (index % 2 === 0 ? -1n : 7n))
  const facts = { signature: { inputs: [{ shape }] } }
  return toBinary(CreateVersionRequestSchema, create(CreateVersionRequestSchema, { facts }))
}

test.each([
  [
    'list items',
    CreateManifestRequestSchema,
    (count: number) => toBinary(CreateManifestRequestSchema, manifestOf(count)),
    0,
  ],
  ['map entries', CreateModelRequestSchema, (count: number) => toBinary(CreateModelRequestSchema, modelOf(count)), 0],
  // The facts, the parameter, its value, and the list.
  ['values of values', CreateVersionRequestSchema, listOf, 4],
  // The facts, the signature, and the input.
  ['packed numbers', CreateVersionRequestSchema, shapeOf, 3],
])('limits %s', (_name, schema, encode, others) => {
  expect(() => requireFewItems(schema, encode(MAX_ITEMS - others))).not.toThrow()
  expect(() => requireFewItems(schema, encode(MAX_ITEMS - others + 1))).toThrow(TOO_MANY)
})

test('limits unknown fields, which the codec retains', () => {
  const writer = new BinaryWriter()
  for (let index = 0; index <= MAX_ITEMS; index += 1) writer.tag(999, WireType.Varint).uint32(1)
  expect(() => requireFewItems(CreateManifestRequestSchema, writer.finish())).toThrow(TOO_MANY)
})

test('does not count texts, numbers and their repetitions', () => {
  const writer = new BinaryWriter()
  const name = numberOf(CreateModelRequestSchema, 'name')
  for (let index = 0; index <= MAX_ITEMS; index += 1) writer.tag(name, WireType.LengthDelimited).string('vad')
  expect(() => requireFewItems(CreateModelRequestSchema, writer.finish())).not.toThrow()
})

test.each([
  ['ends early', [0x12, 0x7f, 0x0a]],
  ['ends within a number', [0x12, 0xff]],
  ['has a group', [0x0b, 0x12, 0x00, 0x0c]],
  ['has an illegal type', [0x17, 0x16]],
  ['claims 4 GiB', [0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]],
])('leaves a message that %s to the codec', (_name, bytes) => {
  expect(() => requireFewItems(CreateManifestRequestSchema, Uint8Array.from(bytes))).not.toThrow()
})

test('leaves a message of too many levels to the codec', () => {
  const wrap = (field: number, bytes: Uint8Array) =>
    new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish()
  const [values, listValue] = [1, 6]
  let value: Uint8Array = new Uint8Array()
  for (let depth = 0; depth < 3_000; depth += 1) value = wrap(listValue, wrap(values, value))
  const facts = wrap(numberOf(VersionFactsSchema, 'parameters'), wrap(numberOf(ParameterSchema, 'value'), value))
  const request = wrap(numberOf(CreateVersionRequestSchema, 'facts'), facts)
  expect(() => requireFewItems(CreateVersionRequestSchema, request)).not.toThrow()
  expect(() => fromBinary(CreateVersionRequestSchema, request)).toThrow('recursion')
})

test('limits the members and items of JSON, but not the signs in its texts', () => {
  const json = (count: number) => Buffer.from(toJsonString(CreateModelRequestSchema, modelOf(count)))
  // The name, and the braces of the message and of the labels.
  expect(() => requireFewJsonItems(json(MAX_ITEMS - 2))).not.toThrow()
  expect(() => requireFewJsonItems(json(MAX_ITEMS - 1))).toThrow(TOO_MANY)
  const text = JSON.stringify({ description: '\\"{,['.repeat(MAX_ITEMS) })
  expect(() => requireFewJsonItems(Buffer.from(text))).not.toThrow()
})
