// The failed calls that are recorded as `attempt.failed.v1`, on a server without a database.
import { Code, ConnectError } from '@connectrpc/connect'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NamespaceService } from '../../gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { accessOf } from '../../services/lib/access/caller.ts'
import { fail, ModelkeepError, type Reason } from '../../services/lib/errors/errors.ts'
import { serve, type Served } from '../../services/lib/server/serve.ts'
import { refusalOf } from '../support/refusal.ts'
import { grpcClient, stubServing } from '../support/serving.ts'

/** The error that the handlers throw. */
let thrown: unknown
const serving = stubServing([NamespaceService], (router) =>
  router.service(NamespaceService, {
    createNamespace: (_request, context) => {
      accessOf(context).requirePlatform()
      if (thrown) throw thrown
      return {}
    },
    updateNamespace: ({ name }, context) => {
      accessOf(context).require(name)
      throw thrown
    },
    getNamespace: () => {
      throw thrown
    },
  }),
)
let served: Served
beforeAll(async () => {
  served = await serve(serving, { host: '127.0.0.1', port: 0 })
})
afterAll(() => served.close(0))

const client = (token = 'mk_admin') => grpcClient(NamespaceService, served.port, token)
const takeRecorded = () => serving.refusals.splice(0)

test.each<[Reason, string]>([
  ['FIELD_INVALID', 'InvalidArgument'],
  ['RANGE_INVALID', 'OutOfRange'],
  ['NAMESPACE_NOT_FOUND', 'NotFound'],
  ['NAMESPACE_EXISTS', 'AlreadyExists'],
  ['NAMESPACE_NOT_EMPTY', 'FailedPrecondition'],
  ['ALIAS_MOVED', 'Aborted'],
  ['STORE_FULL', 'ResourceExhausted'],
])('records %s of an audited RPC with reason and code, and without the message', async (reason, code) => {
  thrown = new ModelkeepError(reason, 'what the client said', { field: 'what the client said' })
  const headers = { 'x-request-id': 'ticket-7' }
  expect(await refusalOf(client('mk_owner').updateNamespace({ name: 'default' }, { headers }))).toMatchObject({
    reason,
    code,
  })
  const [refusal, ...others] = takeRecorded()
  expect(others).toEqual([])
  expect(refusal).toMatchObject({
    type: 'attempt.failed.v1',
    caller: { principal: 'owner' },
    method: 'modelkeep.metadata.v1.NamespaceService/UpdateNamespace',
    namespace: 'default',
    requestId: 'ticket-7',
    reason,
  })
  expect(refusal!.details).toEqual({ reason, code })
})

test.each<[string, unknown]>([
  ['INTERNAL', new Error('a bug')],
  ['DEPENDENCY_UNAVAILABLE', new ModelkeepError('DEPENDENCY_UNAVAILABLE', 'the store is unavailable')],
  ['BLOB_CORRUPT', new ModelkeepError('BLOB_CORRUPT', 'the disk is bad')],
  ['STREAM_IDLE', new ModelkeepError('STREAM_IDLE', 'nothing came')],
  ['OVERLOADED', new ModelkeepError('OVERLOADED', 'later')],
  ['no reason', new ConnectError('cannot be read', Code.InvalidArgument)],
  ['no reason', new ConnectError('gone', Code.Canceled)],
])('does not record %s, which the caller did not cause or whose request was not parsed', async (_name, error) => {
  thrown = error
  await refusalOf(client().createNamespace({ name: 'room' }))
  expect(takeRecorded()).toEqual([])
})

test('records neither a success nor a failed read, and records a denial as such', async () => {
  thrown = undefined
  await client().createNamespace({ name: 'room' })
  thrown = new ModelkeepError('NAMESPACE_NOT_FOUND', 'no')
  expect(await refusalOf(client().getNamespace({ name: 'room' }))).toMatchObject({ code: 'NotFound' })
  expect(takeRecorded()).toEqual([])
  expect(await refusalOf(client('mk_owner').updateNamespace({ name: 'room' }))).toMatchObject({
    code: 'PermissionDenied',
  })
  expect(takeRecorded()).toMatchObject([{ type: 'access.denied.v1', namespace: 'room' }])
})

test('returns the same error when the attempt cannot be recorded', async () => {
  const deaf = { ...serving, recordRefusal: async () => fail('DEPENDENCY_UNAVAILABLE', 'no database') }
  const other = await serve(deaf, { host: '127.0.0.1', port: 0 })
  thrown = new ModelkeepError('NAMESPACE_EXISTS', 'there is one', { namespace: 'room' })
  const refused = refusalOf(grpcClient(NamespaceService, other.port, 'mk_admin').createNamespace({ name: 'room' }))
  expect(await refused).toMatchObject({ code: 'AlreadyExists', reason: 'NAMESPACE_EXISTS' })
  expect(serving.logs.join('')).toContain('refusal not recorded')
  await other.close(0)
})
