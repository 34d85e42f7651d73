// Calls through the zero-copy handler get the same responses as through the general adapter.
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { AppendEventsRequestSchema, IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import {
  GetConsistencyProofResponseSchema,
  GetInclusionProofRequestSchema,
  ProofService,
} from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import {
  makeEvent,
  makeEvents,
  makeSigner,
  METADATA_TOKEN,
  PLATFORM_TOKEN,
  startAudit,
  type RunningAudit,
} from '../../support/audit.ts'
import { createDatabase } from '../../support/database.ts'
import { envelope, RawClient, readMessages, type RawAnswer } from '../../support/raw-grpc.ts'

const database = await createDatabase()
let fast: RunningAudit
let general: RunningAudit
beforeAll(async () => {
  fast = await startAudit(database.url, { signer: makeSigner() })
  general = await startAudit(database.url, { framing: 'general' })
  await fast.ingest.appendEvents({ events: makeEvents(1, 200) })
  await vi.waitFor(() => fast.proofs.getCheckpoint({ minSize: 200n }), 5_000)
})
afterAll(async () => {
  await fast.close()
  await general.close()
  await database.drop()
})

const { getInclusionProof, getConsistencyProof, getCheckpoint } = ProofService.method
const { appendEvents } = IngestService.method
const index = (value: bigint) => ({ entry: { case: 'index' as const, value } })
const ask = (init: MessageInitShape<typeof GetInclusionProofRequestSchema>): Buffer =>
  envelope(toBinary(GetInclusionProofRequestSchema, create(GetInclusionProofRequestSchema, init)))
const append = (sequence: number, producer: string): Buffer => {
  const events = [makeEvent(sequence, { producer })]
  return envelope(toBinary(AppendEventsRequestSchema, create(AppendEventsRequestSchema, { events })))
}

/** Calls both handlers, and leaves out what differs between any two calls. */
async function answers(...[method, buffers, headers]: Parameters<RawClient['call']>): Promise<object[]> {
  const both = []
  for (const { address } of [fast, general]) {
    const token = method === appendEvents ? METADATA_TOKEN : PLATFORM_TOKEN
    const client = new RawClient(address, token)
    both.push(essence(await client.call(method, buffers, { 'x-request-id': 'same', ...headers })))
    client.close()
  }
  return both
}

function essence({ headers: { date: _date, ...headers }, trailers, body }: RawAnswer) {
  return { headers, trailers: { ...trailers }, body: body.toString('hex') }
}

test.each<[string, Parameters<RawClient['call']>]>([
  ['a proof', [getInclusionProof, [ask({ ...index(7n), treeSize: 199n })]]],
  ['a proof for the newest checkpoint', [getInclusionProof, [ask(index(7n))]]],
  ['a proof in two frames', [getInclusionProof, [ask(index(7n)).subarray(0, 4), ask(index(7n)).subarray(4)]]],
  ['a checkpoint', [getCheckpoint, [envelope(Buffer.alloc(0))]]],
  ['an entry that is not there', [getInclusionProof, [ask(index(200n))]]],
  ['a tree that is too large', [getInclusionProof, [ask({ ...index(7n), treeSize: 201n })]]],
  ['a request without an entry', [getInclusionProof, [ask({})]]],
  ['no message', [getInclusionProof, []]],
  ['two messages', [getInclusionProof, [ask(index(7n)), ask(index(8n))]]],
  ['a message that is none', [getInclusionProof, [envelope(Buffer.from([0x0a, 0xff, 0xff, 0x03, 0x01]))]]],
  ['a message that is cut off', [getInclusionProof, [ask(index(7n)).subarray(0, 6)]]],
  ['a compressed message', [getInclusionProof, [envelope(Buffer.alloc(3), 1)]]],
  ['a message over the limit', [appendEvents, [Buffer.from([0, 0x7f, 0xff, 0xff, 0xff])]]],
  ['a malformed deadline', [getInclusionProof, [ask(index(7n))], { 'grpc-timeout': '5 parsecs' }]],
  // Recorded refusals make the log grow.
  ['the events of another producer', [appendEvents, [append(1, 'artifact')]]],
  ['a gap in the sequence', [appendEvents, [append(999, 'metadata')]]],
  ['an unknown token', [getInclusionProof, [ask(index(7n))], { authorization: 'Bearer mk_unknown' }]],
  ['a caller who may not append', [appendEvents, [append(201, 'metadata')], { authorization: 'Bearer mk_platform' }]],
])('%s returns the same response on both paths', async (_name, call) => {
  const before = fast.zeroCopyCalls()
  const [ours, oracle] = await answers(...call)
  expect(ours).toEqual(oracle)
  expect([fast.zeroCopyCalls() - before, general.zeroCopyCalls()]).toEqual([1, 0])
})

test('a unary response has one message', async () => {
  const client = new RawClient(fast.address, PLATFORM_TOKEN)
  const { body, trailers } = await client.call(getConsistencyProof, [envelope(Buffer.from([0x08, 0x05]))])
  client.close()
  expect(trailers['grpc-status']).toBe('0')
  expect(readMessages(GetConsistencyProofResponseSchema, body)).toMatchObject([{ oldSize: 5n }])
})
