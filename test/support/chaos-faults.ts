// The faults that can occur between a service and its S3 server.
import { setTimeout as sleep } from 'node:timers/promises'
import { bodyOf, cut, passHalf, passOn, refuse, type Exchange, type Operation } from './chaos-exchange.ts'
import type { Random } from './random.ts'

type Fault = (exchange: Exchange) => Promise<void>

/** How long after its failure was reported a late request takes effect. */
const LATE_MS = 300

export const FAULTS = {
  none: async (exchange) => passOn(exchange, await exchange.forward()),
  'too busy': (exchange) => refuse(exchange, 503, 'SlowDown'),
  'an error after it was done': async (exchange) => {
    ;(await exchange.forward()).resume()
    await refuse(exchange, 500, 'InternalError')
  },
  'an error that looks like success': (exchange) => refuse(exchange, 200, 'InternalError'),
  'such an error after it was done': async (exchange) => {
    ;(await exchange.forward()).resume()
    await refuse(exchange, 200, 'InternalError')
  },
  'a reset before the body': async (exchange) => cut(exchange),
  'a reset within the body': async (exchange) => {
    for await (const _chunk of exchange.request) break
    cut(exchange)
  },
  'a reset after the body': async (exchange) => {
    await bodyOf(exchange.request)
    cut(exchange)
  },
  'a lost answer': async (exchange) => {
    await bodyOf(await exchange.forward())
    cut(exchange)
  },
  'an answer cut short': async (exchange) => {
    await passHalf(exchange, await exchange.forward())
    cut(exchange)
  },
  'an answer that stalls': async (exchange) => passHalf(exchange, await exchange.forward()),
  silence: async (exchange) => void (await bodyOf(exchange.request)),
  'a trickle': async (exchange) => {
    const answer = await exchange.forward()
    const body = await bodyOf(answer)
    exchange.response.writeHead(answer.statusCode!, answer.headers)
    for (let at = 0; at < 20 && at < body.length; at += 1) {
      exchange.response.write(body.subarray(at, at + 1))
      await sleep(15)
    }
    exchange.response.end(body.subarray(20))
  },
  'a flipped bit': async (exchange) => {
    const answer = await exchange.forward()
    const body = await bodyOf(answer)
    if (body.length > 0) body[Math.floor(body.length / 3)]! ^= 0x04
    exchange.response.writeHead(answer.statusCode!, answer.headers)
    exchange.response.end(body)
  },
  'a body shorter than requested': async (exchange) => {
    const answer = await exchange.forward()
    const body = await bodyOf(answer)
    const half = body.subarray(0, body.length / 2)
    exchange.response.writeHead(answer.statusCode!, { ...answer.headers, 'content-length': half.length })
    exchange.response.end(half)
  },
  'another ETag': async (exchange) => {
    passOn(exchange, await exchange.forward(), { etag: '"00000000000000000000000000000000"' })
  },
  'not found yet': (exchange) => refuse(exchange, 404, 'NoSuchKey'),
  'a skewed clock': (exchange) => refuse(exchange, 403, 'RequestTimeTooSkewed'),
  'an expired signature': (exchange) => refuse(exchange, 403, 'AccessDenied'),
  'sent twice': async (exchange) => {
    const body = await bodyOf(exchange.request)
    await bodyOf(await exchange.forward(body))
    passOn(exchange, await exchange.forward(body))
  },
  'done later than it seems': async (exchange) => {
    const body = await bodyOf(exchange.request)
    cut(exchange)
    await sleep(LATE_MS)
    await bodyOf(await exchange.forward(body))
  },
} satisfies Record<string, Fault>

export type FaultName = keyof typeof FAULTS

const BROKEN_CONNECTIONS: FaultName[] = [
  'a reset before the body',
  'a reset after the body',
  'a lost answer',
  'an answer cut short',
  'an answer that stalls',
  'silence',
]
const REFUSALS: FaultName[] = ['too busy', 'an error after it was done', 'a skewed clock', 'an expired signature']
const WRITING: FaultName[] = [...BROKEN_CONNECTIONS, ...REFUSALS, 'sent twice', 'done later than it seems']
const COMPLETING: FaultName[] = [...WRITING, 'an error that looks like success', 'such an error after it was done']
/** The faults that are possible at each operation. */
export const POSSIBLE: Record<Operation, FaultName[]> = {
  CreateMultipartUpload: WRITING,
  UploadPart: [...WRITING, 'a reset within the body', 'another ETag'],
  PutObject: [...WRITING, 'a reset within the body', 'another ETag'],
  HeadObject: [...REFUSALS, 'a reset before the body', 'silence', 'not found yet'],
  CompleteMultipartUpload: COMPLETING,
  GetObject: [
    ...BROKEN_CONNECTIONS,
    ...REFUSALS,
    ...(['not found yet', 'a flipped bit', 'a body shorter than requested', 'a trickle'] as FaultName[]),
  ],
  ListUploads: [...REFUSALS, 'a reset before the body', 'silence', 'not found yet'],
  AbortMultipartUpload: WRITING,
  DeleteObject: WRITING,
  ListParts: [],
  Bucket: [],
}

/** Draws a possible fault for this share of the requests, and undefined for the others. */
export function drawFault(random: Random, share: number, operation: Operation): FaultName | undefined {
  return random.next() < share ? random.pick(['none', ...POSSIBLE[operation]] as FaultName[]) : undefined
}
