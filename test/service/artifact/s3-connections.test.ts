// Connections of the S3 store: how many there are, and when they are reused.
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { newObjectKey } from '../../../services/artifact/store/byte-store.ts'
import { ConnectionPool } from '../../../services/artifact/store/s3/pool.ts'
import { startFakeS3, type FakeS3 } from '../../support/fake-s3.ts'
import { wholePart, readAll } from '../../support/store-contract.ts'

const CONTENT = Buffer.from('ten bytes.')
const object = () => wholePart(CONTENT)
const accept: FakeS3['answer'] = (_request, response) => void response.writeHead(200, { 'content-length': 0 }).end()

class FakeConnection {
  isIdle = true
  isClosed = false
  readonly #onClose: () => void

  constructor(onClose: () => void) {
    this.#onClose = onClose
  }

  destroy(): void {
    this.isIdle = false
    this.isClosed = true
    this.#onClose()
  }
}

/** A pool whose 256 connections are all in use. */
async function createBusyPool() {
  const pool = new ConnectionPool((onClose) => new FakeConnection(onClose))
  const taken = await Promise.all(Array.from({ length: 256 }, () => pool.take()))
  return { pool, taken }
}

test('a request waits for one of 256 connections, and takes the place of one that was closed', async () => {
  const { pool, taken } = await createBusyPool()
  const waiting = [pool.take(), pool.take()]
  pool.release(taken[0]!)
  expect(await waiting[0]).toBe(taken[0])
  taken[1]!.isIdle = false
  pool.release(taken[1]!)
  expect(taken[1]!.isClosed).toBe(true)
  expect(taken).not.toContain(await waiting[1])
})

test('a request that is aborted stops waiting, and leaves the connection to the next', async () => {
  const { pool, taken } = await createBusyPool()
  const stop = new AbortController()
  const aborted = pool.take(stop.signal)
  const next = pool.take()
  stop.abort(new Error('the client has left'))
  await expect(aborted).rejects.toThrow('the client has left')
  pool.release(taken[0]!)
  expect(await next).toBe(taken[0])
})

test('a closed pool closes its connections, and rejects waiting requests', async () => {
  const { pool, taken } = await createBusyPool()
  const waiting = pool.take()
  pool.close()
  await expect(waiting).rejects.toThrow('store is closed')
  expect(taken.every(({ isClosed }) => isClosed)).toBe(true)
})

test('a connection is reused until the server closes it', async () => {
  const fake = await startFakeS3()
  const sockets = new Set<Socket>()
  fake.receive = ({ socket }) => sockets.add(socket)
  fake.answer = accept
  for (let count = 1; count <= 3; count += 1) await fake.store.put(newObjectKey(), object())
  expect(sockets.size).toBe(1)
  fake.answer = (_request, response) => response.writeHead(200, { 'content-length': 0, connection: 'close' }).end()
  await fake.store.put(newObjectKey(), object())
  await fake.store.put(newObjectKey(), object())
  expect(sockets.size).toBe(2)
  await fake.close()
})

test('a request over a connection that the server has just closed is sent again, without counting as a retry', async () => {
  const fake = await startFakeS3()
  fake.answer = accept
  await fake.store.put(newObjectKey(), object())
  let attempts = 0
  fake.answer = (request, response) => ((attempts += 1) <= 3 ? request.socket.destroy() : accept(request, response))
  await fake.store.put(newObjectKey(), object())
  expect(attempts).toBe(4)
  await fake.close()
})

test.each([
  ['another range', { 'content-range': 'bytes 5-14/20', 'content-length': 10 }],
  ['a length that is not its range', { 'content-range': 'bytes 0-9/20', 'content-length': 5 }],
  ['no length', { 'content-range': 'bytes 0-9/20', 'transfer-encoding': 'chunked' }],
])('a response with %s does not count as the requested bytes', async (_name, headers) => {
  const fake = await startFakeS3()
  const good = { 'content-range': 'bytes 0-9/20', 'content-length': 10 }
  let attempts = 0
  fake.answer = (_request, response) => {
    attempts += 1
    response.writeHead(206, attempts === 1 ? headers : good).end(attempts === 1 ? 'false' : CONTENT)
  }
  expect(await readAll(fake.store, newObjectKey(), 0, 10)).toEqual(CONTENT)
  expect(attempts).toBe(2)
  await fake.close()
})
