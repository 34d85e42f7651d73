import { Code, ConnectError } from '@connectrpc/connect'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.ts'
import { ErrorReason } from '../../gen/modelkeep/common/v1/error_reason_pb.ts'
import { fail, failField, failLimit, ModelkeepError, type Reason } from '../../services/lib/errors/errors.ts'
import { logRefusal } from '../../services/lib/server/gate.ts'
import type { Logger } from '../../services/lib/process/log.ts'
import { toConnectError } from '../../services/lib/errors/connect-error.ts'
import { reasonOf } from '../../services/lib/errors/read-error.ts'

const REASONS = Object.keys(ErrorReason).filter(
  (name) => Number.isNaN(Number(name)) && name !== 'UNSPECIFIED',
) as Reason[]
const contract = readFileSync(new URL('../../proto/modelkeep/common/v1/error_reason.proto', import.meta.url), 'utf8')

function thrownBy(work: () => unknown): ConnectError {
  try {
    work()
  } catch (error) {
    return toConnectError(error)
  }
  throw new Error('nothing was thrown')
}

/** Reasons that are temporary, so that the error has a retry delay. */
const PASSING: Reason[] = ['OVERLOADED', 'UPLOAD_BUSY', 'DEPENDENCY_UNAVAILABLE']

test.each(REASONS)('%s has the code that its comment documents, and its reason', (reason) => {
  const refused = thrownBy(() => fail(reason, 'a whole sentence', { field: 'x' }))
  const info = refused.findDetails(ErrorInfoSchema)
  expect(info).toMatchObject([{ reason, domain: 'modelkeep', metadata: { field: 'x' } }])
  const comment = new RegExp(`((?: +//.*\\n)+) +ERROR_REASON_${reason} =`).exec(contract)![1]!
  const snake = Code[refused.code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
  expect(comment).toContain(snake)
  expect(refused.findDetails(BadRequestSchema)).toEqual([])
  expect(refused.findDetails(RetryInfoSchema)).toHaveLength(PASSING.includes(reason) ? 1 : 0)
  expect(reasonOf(refused)).toEqual({ reason, metadata: { field: 'x' } })
})

test('does not count a call that its caller ended as a fault of the service', () => {
  const lines: unknown[][] = []
  const note =
    (level: string) =>
    (...line: unknown[]) =>
      void lines.push([level, ...line])
  const logger = { info: note('info'), warn: note('warn'), error: note('error') } as unknown as Logger
  const canceled = new ConnectError('http/2 stream closed', Code.Canceled)
  const broken = new Error('the statement was cancelled', { cause: canceled })
  logRefusal(logger, { method: 'm' }, broken, AbortSignal.abort(canceled))
  logRefusal(logger, { method: 'm' }, broken, new AbortController().signal)
  expect(lines).toEqual([
    ['info', { method: 'm', code: 'Canceled' }, 'call canceled by the caller'],
    ['error', { method: 'm', code: 'Internal', error: broken }, 'call refused'],
  ])
})

test('names the field and the rule of bad input in the message and in the details', () => {
  const refused = thrownBy(() => failField('facts.metrics[2].name', 'must not be empty'))
  expect(refused.rawMessage).toBe('facts.metrics[2].name must not be empty')
  expect(refused.code).toBe(Code.InvalidArgument)
  expect(refused.findDetails(BadRequestSchema)).toMatchObject([
    {
      fieldViolations: [{ field: 'facts.metrics[2].name', description: 'must not be empty', reason: 'FIELD_INVALID' }],
    },
  ])
  const over = thrownBy(() => failLimit('labels', 64, 'labels'))
  expect(over.rawMessage).toBe('labels must have at most 64 labels')
  expect(reasonOf(over)).toEqual({ reason: 'LIMIT_EXCEEDED', metadata: { field: 'labels', limit: '64' } })
  expect(over.findDetails(BadRequestSchema)).toHaveLength(1)
})

test('returns no internal details', () => {
  const inner = new Error('relation "token" does not exist at 10.0.0.7, password hunter2')
  for (const thrown of [
    inner,
    'a text',
    undefined,
    new ModelkeepError('INTERNAL', 'held back', {}, [], { cause: inner }),
  ]) {
    const refused = toConnectError(thrown)
    expect(refused.code).toBe(Code.Internal)
    const info = refused.findDetails(ErrorInfoSchema)
    expect(JSON.stringify([refused.message, info, refused.cause])).not.toMatch(/hunter2|10\.0\.0\.7|relation/)
    expect(reasonOf(refused)?.reason).toBe('INTERNAL')
  }
})

test('returns CANCELED after a disconnect, DEADLINE_EXCEEDED after the deadline, and leaves an error of the service unchanged', () => {
  const gone = AbortSignal.abort(new ConnectError('gone', Code.Canceled))
  const late = AbortSignal.abort(new ConnectError('late', Code.DeadlineExceeded))
  expect(toConnectError(new Error('query cancelled'), gone).code).toBe(Code.Canceled)
  expect(toConnectError(new Error('query cancelled'), late).code).toBe(Code.DeadlineExceeded)
  expect(toConnectError(new ModelkeepError('MODEL_EXISTS', 'taken'), late).code).toBe(Code.AlreadyExists)
})

test('finds no reason in an error that is not from Modelkeep', () => {
  expect(reasonOf(new Error('x'))).toBeUndefined()
  expect(reasonOf(new ConnectError('x', Code.NotFound))).toBeUndefined()
  const foreign = new ConnectError('x', Code.NotFound)
  foreign.details.push({ desc: ErrorInfoSchema, value: { reason: 'GONE', domain: 'example.org', metadata: {} } })
  expect(reasonOf(foreign)).toBeUndefined()
})

test('does not count an unreadable request as a fault of the service', () => {
  const unread = toConnectError(new ConnectError('parse binary: not valid utf-8', Code.Internal))
  expect(unread).toMatchObject({ code: Code.InvalidArgument, rawMessage: 'parse binary: not valid utf-8' })
  expect(toConnectError(new ConnectError('serialize binary: x', Code.Internal)).code).toBe(Code.Internal)
})

test('limits the size of an error, however much of the request it names', () => {
  const long = '€'.repeat(40_000)
  const refused = thrownBy(() => fail('EVENT_NOT_PRIVATE', `no value ${long}`, { event_id: 'x', field: long }))
  const { metadata } = refused.findDetails(ErrorInfoSchema)[0]!
  expect(metadata).toEqual({ event_id: 'x', field: `${'€'.repeat(340)}…` })
  expect(refused.rawMessage).toBe(`no value ${'€'.repeat(337)}…`)
  expect(reasonOf(refused)!.metadata).toEqual(metadata)
})

test('includes as many precondition violations as fit in an error', () => {
  const holds = (name: string) => ({ type: name, subject: 'x'.repeat(1000), description: 'it holds' })
  const preconditions = ['a', 'b', 'c', 'd', 'e', 'f'].map(holds)
  const unmet = new ModelkeepError('GATE_UNMET', 'conditions do not hold', { unmet: '6' }, [], { preconditions })
  const { violations } = toConnectError(unmet).findDetails(PreconditionFailureSchema)[0]!
  expect(violations).toMatchObject(['a', 'b', 'c', 'd'].map(holds))
  expect(reasonOf(toConnectError(unmet))).toEqual({ reason: 'GATE_UNMET', metadata: { unmet: '6' } })
})
