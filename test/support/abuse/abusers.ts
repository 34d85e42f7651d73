// Callers who try to make a registry unusable for others. Each is a function that resolves once the abuse has started; the abuse
// continues until the thread that runs it ends (worker.ts). To add an abuser, add a function to `ABUSERS`.
import { create, toBinary } from '@bufbuild/protobuf'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { Health } from '#gen/health/v1/health_pb.ts'
import {
  BlobService,
  DownloadBlobRequestSchema,
  UploadBlobRequestSchema,
} from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { envelope, RawClient, readAnswer } from '../raw-grpc.ts'
import { costlyCondition, costlyFilters, costlyManifest, type CostlyCall } from './costly-calls.ts'

export interface Target {
  address: string
  /** The token of a contributor, with which the abusers call. */
  token: string
  /** A model with a version 1. */
  model: string
  /** The digest of a blob of many MiB. */
  largeBlob: string
}

const MIB = 1024 * 1024
const EMPTY = envelope(Buffer.alloc(0))
/** Streams per connection, fewer than a connection may have. */
const PER_CONNECTION = 250
/** Abusers without a token come from another address, where the machine has one. */
const OTHER_ADDRESS = process.platform === 'linux' ? '127.0.0.2' : '127.0.0.1'

/** Opens `count` streams over several connections. */
async function openMany(target: Target, count: number, open: (client: RawClient, number: number) => void) {
  const clients = Array.from(
    { length: Math.ceil(count / PER_CONNECTION) },
    () => new RawClient(target.address, target.token),
  )
  for (let number = 0; number < count; number += 1) open(clients[number % clients.length]!, number)
  // The answer to the ping shows that the server has seen all streams.
  for (const client of clients) await pingOf(client.session)
}

function pingOf(session: ClientHttp2Session): Promise<void> {
  // The server closes connections without an authenticated call.
  return new Promise((resolve) => {
    session.once('close', resolve)
    if (session.destroyed || !session.ping(() => resolve())) resolve()
  })
}

/** Opens 1,200 uploads, each of which sends a byte every half second. */
async function uploadSlowly(target: Target): Promise<void> {
  const byte = create(UploadBlobRequestSchema, { message: { case: 'chunk', value: Buffer.from('x') } })
  const chunk = envelope(toBinary(UploadBlobRequestSchema, byte))
  await openMany(target, 1_200, (client, number) => {
    const digest = `sha256:${createHash('sha256').update(String(number)).digest('hex')}`
    const value = { namespace: 'default', digest, sizeBytes: BigInt(MIB) }
    const header = create(UploadBlobRequestSchema, { message: { case: 'header', value } })
    const stream = client.open(BlobService.method.uploadBlob)
    stream.resume().write(envelope(toBinary(UploadBlobRequestSchema, header)))
    const trickle = setInterval(() => stream.write(chunk), 500)
    stream.once('close', () => clearInterval(trickle))
  })
}

/** Opens 1,000 watches of the log from its beginning, and never reads them. */
async function watchUnread(target: Target): Promise<void> {
  await openMany(target, 1_000, (client) => client.open(LogService.method.watchEntries).end(EMPTY))
}

/** Starts 400 downloads, and never reads them. */
async function downloadUnread(target: Target): Promise<void> {
  const request = create(DownloadBlobRequestSchema, { namespace: 'default', digest: target.largeBlob })
  const message = envelope(toBinary(DownloadBlobRequestSchema, request))
  await openMany(target, 400, (client) => client.open(BlobService.method.downloadBlob).end(message))
}

/** Opens as many connections as a service accepts, which send no token and nothing after the preface of HTTP/2. They are opened
 * in batches that fit into the listen backlog, because a full backlog delays all of them by a second. */
async function exhaustConnections({ address }: Target): Promise<void> {
  const { hostname: host, port } = new URL(address)
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0', 'latin1')
  for (let portion = 0; portion < 16; portion += 1) {
    const sockets = Array.from({ length: 256 }, () => {
      const socket: Socket = connect({ host, port: Number(port), localAddress: OTHER_ADDRESS })
      socket.on('error', () => {}).resume()
      socket.write(preface)
      return socket
    })
    await Promise.all(sockets.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])))
  }
}

/** Opens 2,000 health watches without a token. */
async function watchHealth({ address, ...target }: Target): Promise<void> {
  await openMany({ ...target, address, token: '' }, 2_000, (client) => {
    client.open(Health.method.watch).resume().end(EMPTY)
  })
}

/** Starts 1,000 calls, and never sends their bodies. */
async function withholdBodies(target: Target): Promise<void> {
  await openMany(target, 1_000, (client) => {
    client.open(VersionService.method.resolveVersion).resume().write(EMPTY.subarray(0, 3))
  })
}

/** Sends bodies that decompress to more than a message may have, one after the other on eight streams. */
async function sendBombs(target: Target): Promise<void> {
  const bomb = envelope(gzipSync(Buffer.alloc(4 * MIB + 1)), 1)
  await repeatCalls(target, 8, (client) => {
    const stream = client.open(ModelService.method.createModel, { 'grpc-encoding': 'gzip' })
    stream.end(bomb)
    return readAnswer(stream)
  })
}

/** Sends tokens that do not exist, one after the other on sixteen streams. */
async function guessTokens({ address, ...target }: Target): Promise<void> {
  await repeatCalls({ ...target, address, token: '' }, 16, (client) => {
    const authorization = `Bearer mk_${randomBytes(32).toString('base64url')}`
    const stream = client.open(VersionService.method.resolveVersion, { authorization })
    stream.end(EMPTY)
    return readAnswer(stream)
  })
}

/** Sends costly conditions, manifests or filters, one after the other on four streams. */
async function repeatCostly(target: Target, calls: CostlyCall[]): Promise<void> {
  let sent = 0
  await repeatCalls(target, 4, (client) => {
    const { method, body } = calls[(sent += 1) % calls.length]!
    const stream = client.open(method)
    stream.end(body)
    return readAnswer(stream)
  })
}

/** Makes calls without end on `width` streams at a time. Resolves after the first call of each stream. */
async function repeatCalls(target: Target, width: number, call: (client: RawClient) => Promise<unknown>) {
  const client = new RawClient(target.address, target.token)
  const forever = async (): Promise<void> => {
    while (!client.session.closed) await call(client)
  }
  await Promise.all(Array.from({ length: width }, () => call(client)))
  for (let stream = 0; stream < width; stream += 1) void forever()
}

export const ABUSERS = {
  'uploads slowly': uploadSlowly,
  'opens watches without reading them': watchUnread,
  'starts downloads without reading them': downloadUnread,
  'opens all connections': exhaustConnections,
  'opens health watches': watchHealth,
  'withholds bodies': withholdBodies,
  'sends gzip bombs': sendBombs,
  'guesses tokens': guessTokens,
  'tests costly conditions': (target) => repeatCostly(target, [costlyCondition(target.model)]),
  'creates huge manifests': (target) => repeatCostly(target, [costlyManifest()]),
  'filters by many conditions': (target) => repeatCostly(target, costlyFilters()),
} satisfies Record<string, (target: Target) => Promise<void>>

export type AbuserName = keyof typeof ABUSERS
