// Messages of very many items are refused before they are decoded, in every protocol.
import { create } from '@bufbuild/protobuf'
import { Code, ConnectError, createClient } from '@connectrpc/connect'
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { CreateModelRequestSchema, ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { accessOf } from '../../services/lib/access/caller.ts'
import { serve } from '../../services/lib/server/serve.ts'
import { stubServing } from '../support/serving.ts'

let calls = 0
const serving = stubServing([ModelService], (router) =>
  router.service(ModelService, {
    createModel: ({ name, $unknown }, context) => {
      accessOf(context).require('default')
      calls += 1
      return { model: { name, description: $unknown ? 'unknown fields' : 'none' } }
    },
  }),
)
const general = await serve(serving, { host: '127.0.0.1', port: 0 })
const fast = await serve(
  { ...serving, zeroCopyMethods: [{ method: ModelService.method.createModel }] },
  { host: '127.0.0.1', port: 0 },
)
beforeEach(() => {
  calls = 0
})
afterAll(() => Promise.all([general.close(0), fast.close(0)]))
const at = ({ port }: typeof general) => `http://127.0.0.1:${port}`

const LABELS = Object.fromEntries(Array.from({ length: 150_000 }, (_, index) => [`key-${index}`, `value-${index}`]))

test.each([
  ['gRPC', createGrpcTransport({ baseUrl: at(general) })],
  ['the zero-copy handler', createGrpcTransport({ baseUrl: at(fast) })],
  ['gRPC-Web', createGrpcWebTransport({ baseUrl: at(general), httpVersion: '1.1' })],
  ['Connect', createConnectTransport({ baseUrl: at(general), httpVersion: '2' })],
  ['Connect with HTTP/1.1', createConnectTransport({ baseUrl: at(general), httpVersion: '1.1' })],
])('150,000 labels are rejected over %s', async (_name, transport) => {
  const models = createClient(ModelService, transport)
  const headers = { authorization: 'Bearer mk_contributor' }
  const error = await models
    .createModel({ name: 'vad', labels: LABELS }, { headers })
    .catch((refused: unknown) => ConnectError.from(refused))
  expect(error).toMatchObject({
    code: Code.ResourceExhausted,
    rawMessage: 'message has more than 100000 list items, map entries and nested messages',
  })
  expect(calls).toBe(0)
  const { model } = await models.createModel({ name: 'vad', labels: { a: 'b' } }, { headers })
  expect(model).toMatchObject({ name: 'vad' })
})

test('unknown fields are accepted, and not retained', async () => {
  const models = createClient(ModelService, createGrpcTransport({ baseUrl: at(general) }))
  const $unknown = Array.from({ length: 1_000 }, () => ({ no: 999, wireType: 0, data: Uint8Array.of(1) }))
  const request = { ...create(CreateModelRequestSchema, { name: 'vad' }), $unknown }
  const { model } = await models.createModel(request, { headers: { authorization: 'Bearer mk_contributor' } })
  expect(model).toMatchObject({ name: 'vad', description: 'none' })
})

test('JSON of 150,000 members is rejected', async () => {
  const send = (labels: object) =>
    fetch(`${at(general)}/modelkeep.metadata.v1.ModelService/CreateModel`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer mk_contributor' },
      body: JSON.stringify({ name: 'vad', labels }),
    })
  const refused = await send(Object.fromEntries(Object.keys(LABELS).map((key) => [key, ''])))
  expect(refused.status).toBe(429)
  expect(await refused.json()).toMatchObject({ code: 'resource_exhausted' })
  expect(calls).toBe(0)
  expect((await send({ a: 'b' })).status).toBe(200)
})
