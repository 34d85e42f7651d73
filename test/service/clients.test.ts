// The handling of responses of peers, and of peers that do not respond.
import { createServer } from 'node:net'
import { once } from 'node:events'
import { Code, ConnectError } from '@connectrpc/connect'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LogService } from '../../gen/modelkeep/audit/v1/log_service_pb.ts'
import { ManifestService } from '../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { peerClient } from '../../services/lib/server/peers.ts'
import { accessOf } from '../../services/lib/access/caller.ts'
import { fail, failField, ModelkeepError } from '../../services/lib/errors/errors.ts'
import { toConnectError } from '../../services/lib/errors/connect-error.ts'
import { serve, type Served } from '../../services/lib/server/serve.ts'
import { stubServing } from '../support/serving.ts'

let answer: () => unknown
const serving = stubServing([ManifestService, LogService], (router) => {
  router.service(ManifestService, {
    getManifest(_request, context) {
      accessOf(context).namespaces()
      return answer() as never
    },
  })
  router.service(LogService, {
    async *watchEntries(_request, context) {
      accessOf(context).namespaces()
      yield { nextIndex: 7n }
      yield (await answer()) as never
    },
  })
})
let served: Served
beforeAll(async () => {
  served = await serve(serving, { host: '127.0.0.1', port: 0 })
})
afterAll(() => served.close(0))

const clientFor = (token = 'mk_admin', port = served.port, timeoutMs = 5_000) =>
  peerClient(ManifestService, { name: 'artifact', address: `http://127.0.0.1:${port}`, token, timeoutMs })

async function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  )
}

const UNAVAILABLE = { name: 'ModelkeepError', reason: 'DEPENDENCY_UNAVAILABLE', metadata: { dependency: 'artifact' } }

test('returns the response of a peer', async () => {
  answer = () => ({ manifest: { digest: 'sha256:x' } })
  expect((await clientFor().getManifest({})).manifest?.digest).toBe('sha256:x')
})

test('passes an error about the request on unchanged', async () => {
  answer = () => fail('MANIFEST_NOT_FOUND', 'there is no such manifest', { digest: 'sha256:x' })
  const error = await errorOf(clientFor().getManifest({}))
  expect(error).toMatchObject({
    name: 'ModelkeepError',
    reason: 'MANIFEST_NOT_FOUND',
    message: 'there is no such manifest',
    metadata: { digest: 'sha256:x' },
  })
  expect(toConnectError(error).code).toBe(Code.NotFound)
})

test('reports a peer that rejects this service or fails as unavailable', async () => {
  for (const refuse of [
    () => fail('PERMISSION_DENIED', 'no'),
    () => fail('INTERNAL', 'secret detail'),
    () => failField('digest', 'must be a digest'),
    () => {
      throw new Error('secret detail')
    },
    () => {
      throw new ConnectError('gone', Code.Unavailable)
    },
  ]) {
    answer = refuse
    const error = await errorOf(clientFor().getManifest({}))
    expect(error).toMatchObject(UNAVAILABLE)
    expect((error as ModelkeepError).message).not.toContain('secret')
  }
  answer = () => ({})
  expect(await errorOf(clientFor('mks_wrong').getManifest({}))).toMatchObject(UNAVAILABLE)
})

test('reports an RPC that the peer does not have as an internal error', async () => {
  const error = await errorOf(clientFor('mks_metadata').retainManifest({}))
  expect(error).toBeInstanceOf(Error)
  expect(error).not.toBeInstanceOf(ModelkeepError)
  expect(toConnectError(error).code).toBe(Code.Internal)
})

test('reports a peer that does not accept connections or does not respond as unavailable', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  expect(await errorOf(clientFor('mk_admin', port, 200).getManifest({}))).toMatchObject(UNAVAILABLE)
  await new Promise((resolve) => {
    silent.close(resolve)
    silent.emit('close')
  })
  expect(await errorOf(clientFor('mk_admin', 1, 2_000).getManifest({}))).toMatchObject(UNAVAILABLE)
})

test('cancels for a caller who disconnects, without an error of the peer', async () => {
  answer = () => new Promise(() => {})
  const leaving = new AbortController()
  const call = errorOf(clientFor().getManifest({}, { signal: leaving.signal }))
  leaving.abort()
  const error = await call
  expect(error).not.toBeInstanceOf(ModelkeepError)
  expect(toConnectError(error, leaving.signal).code).toBe(Code.Canceled)
})

test('translates the error of a stream that breaks in the middle', async () => {
  const client = peerClient(LogService, {
    name: 'audit',
    address: `http://127.0.0.1:${served.port}`,
    token: 'mk_admin',
  })
  const read = async (): Promise<bigint[]> => {
    const seen: bigint[] = []
    for await (const { nextIndex } of client.watchEntries({})) seen.push(nextIndex)
    return seen
  }
  answer = () => ({ nextIndex: 8n })
  expect(await read()).toEqual([7n, 8n])
  answer = () => fail('EVENT_NOT_FOUND', 'gone')
  expect(await errorOf(read())).toMatchObject({ name: 'ModelkeepError', reason: 'EVENT_NOT_FOUND' })
  answer = () => fail('INTERNAL', 'broken')
  expect(await errorOf(read())).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE', metadata: { dependency: 'audit' } })
})
