// The witness protocol of c2sp.org/tlog-witness, on real sockets.
import { connect } from 'node:net'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findCosignature } from '#lib/tlog/cosignature.ts'
import { EMPTY_ROOT } from '#lib/tlog/merkle.ts'
import { findCheckpoint, findVerifier, formatCheckpoint, openNote, signNote, splitNote } from '#lib/tlog/note.ts'
import { addCheckpoint } from '../../../services/witness/add-checkpoint.ts'
import { hashOrigin } from '../../../services/witness/store/state.ts'
import { addBody, makeKey, MemoryLog, ORIGIN, post, startWitness, type RunningWitness } from '../../support/witness.ts'

const log = new MemoryLog()
let witness: RunningWitness
beforeEach(async () => {
  witness = await startWitness({ vkeys: [log.vkey] })
})
afterEach(async () => {
  await witness.close()
  await rm(witness.directory, { recursive: true, force: true })
})

const add = (oldSize: number, size: number, from = log) =>
  post(witness.url, addBody(oldSize, from.proof(oldSize, size), log.checkpoint.call(from, size, log.key)))
const known = async () => Number((await post(witness.url, addBody(0, [], log.checkpoint(300)))).body)

test('cosigns checkpoints that extend the log, and the same one again', async () => {
  let old = 0
  for (const size of [1, 2, 7, 8, 9, 255, 256, 300, 300]) {
    const { status, body } = await add(old, size)
    expect([size, status]).toEqual([size, 200])
    expect(body.endsWith('\n')).toBe(true)
    const time = findCosignature(log.checkpoint(size) + body, witness.cosigner)
    expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(60)
    old = size
  }
})

test('serves its last checkpoint with the signatures of log and witness only', async () => {
  const path = `${witness.url}/${hashOrigin(ORIGIN)}/checkpoint`
  expect((await fetch(path)).status).toBe(404)
  const foreign = signNote(log.text(5), 'other.example', makeKey()).split('\n\n')[1]!
  const { body } = await post(witness.url, addBody(0, [], log.checkpoint(5) + foreign))
  const note = await (await fetch(path)).text()
  expect(note).toBe(log.checkpoint(5) + body)
  expect(openNote(note, findVerifier(log.vkey)!)).toBe(log.text(5))
  expect((await fetch(`${witness.url}/${'0'.repeat(64)}/checkpoint`)).status).toBe(404)
  expect((await fetch(`${witness.url}/healthz`)).status).toBe(200)
})

test('responds with its known size to a request with another old size', async () => {
  await add(0, 10)
  for (const [old, size] of [
    [0, 20],
    [9, 20],
    [11, 20],
    [0, 10],
    [0, 5],
    [5, 5],
  ] as const) {
    expect(await add(old, size)).toEqual({ status: 409, type: 'text/x.tlog.size', body: '10\n' })
  }
})

test('rejects forks, leaves its state unchanged, and logs the evidence', async () => {
  const fork = new MemoryLog(ORIGIN, 7)
  await add(0, 10)
  expect((await add(10, 10, fork)).status).toBe(422)
  expect((await add(10, 20, fork)).status).toBe(422)
  const truth = log.proof(10, 20)
  const forked = fork.checkpoint(20, log.key)
  for (const proof of [truth, truth.slice(1), truth.toReversed(), [...truth, truth[0]!], []]) {
    expect((await post(witness.url, addBody(10, proof, forked))).status).toBe(422)
  }
  for (const proof of [truth.slice(1), truth.toReversed(), [...truth, truth[0]!], []]) {
    expect((await post(witness.url, addBody(10, proof, log.checkpoint(20)))).status).toBe(422)
  }
  expect(await known()).toBe(10)
  expect(witness.logs.join('')).toContain(JSON.stringify(forked).slice(1, -1))
  expect((await add(10, 20)).status).toBe(200)
})

test('cosigns the empty log, and extends it without a proof', async () => {
  const wrong = signNote(formatCheckpoint({ origin: ORIGIN, size: 0n, root: log.root(1) }), ORIGIN, log.key)
  expect((await post(witness.url, addBody(0, [], wrong))).status).toBe(422)
  expect(findCheckpoint(log.text(0))!.root).toEqual(EMPTY_ROOT)
  expect((await add(0, 0)).status).toBe(200)
  expect((await post(witness.url, addBody(0, [log.root(1)], log.checkpoint(3)))).status).toBe(422)
  expect((await add(0, 3)).status).toBe(200)
})

test('rejects checkpoints of unknown logs and wrong keys', async () => {
  const other = new MemoryLog('log.example/other')
  expect((await post(witness.url, addBody(0, [], other.checkpoint(3)))).status).toBe(404)
  expect((await post(witness.url, addBody(0, [], log.checkpoint(3, makeKey())))).status).toBe(403)
  expect(
    (await post(witness.url, addBody(0, [], `${log.text(3)}\n${other.checkpoint(3).split('\n\n')[1]}`))).status,
  ).toBe(403)
  // A wrong signature under the name of the right key invalidates the note.
  const wrong = log.checkpoint(4).split('\n\n')[1]!
  expect((await post(witness.url, addBody(0, [], log.checkpoint(3) + wrong))).status).toBe(403)
  expect((await post(witness.url, addBody(4, [], log.checkpoint(3)))).status).toBe(400)
  expect(await readdir(witness.directory)).toEqual([])
})

test('accepts either key during a change of keys', async () => {
  const fresh = makeKey()
  const vkeys = [
    log.vkey,
    new (class extends MemoryLog {
      override readonly key = fresh
    })().vkey,
  ]
  const both = await startWitness({ vkeys, directory: witness.directory })
  const send = (old: number, size: number, key = log.key) =>
    post(both.url, addBody(old, log.proof(old, size), log.checkpoint(size, key)))
  expect((await send(0, 3)).status).toBe(200)
  const two = log.checkpoint(5) + log.checkpoint(5, fresh).split('\n\n')[1]
  expect((await post(both.url, addBody(3, log.proof(3, 5), two))).status).toBe(200)
  expect((await send(5, 9, fresh)).status).toBe(200)
  await both.close()
})

test.each([
  ['empty', ''],
  ['without a checkpoint', 'old 0\n\n'],
  ['without an old size', `\n\n${log.checkpoint(3)}`],
  ['with a leading zero', addBody('00', [], log.checkpoint(3))],
  ['with a negative size', addBody('-1', [], log.checkpoint(3))],
  ['with a huge size', addBody('99999999999999999999', [], log.checkpoint(3))],
  [
    'with 64 hashes',
    addBody(
      1,
      Array.from({ length: 64 }, () => log.root(1)),
      log.checkpoint(3),
    ),
  ],
  ['with a short hash', addBody(1, [log.root(1).subarray(1)], log.checkpoint(3))],
  ['with carriage returns', addBody(0, [], log.checkpoint(3)).replaceAll('\n', '\r\n')],
  ['without a last newline', addBody(0, [], log.checkpoint(3)).slice(0, -1)],
  ['whose checkpoint is not one', addBody(0, [], signNote('hello\n', ORIGIN, log.key))],
])('rejects a malformed request: %s', async (_name, body) => {
  expect((await post(witness.url, body)).status).toBe(400)
})

test('limits body size, methods and request time', async () => {
  const answer = await post(witness.url, 'x'.repeat(1_000_000)).catch(() => ({ status: 413 }))
  expect(answer.status).toBe(413)
  expect((await fetch(`${witness.url}/add-checkpoint`)).status).toBe(405)
  expect((await fetch(witness.url, { method: 'DELETE' })).status).toBe(405)
  // A request that never ends is cut off.
  const socket = connect(Number(new URL(witness.url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write('POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 100\r\n\r\nold ')
  const ended = new Promise((resolve) => socket.once('close', resolve))
  socket.resume()
  await ended
  expect((await add(0, 3)).status).toBe(200)
})

test('one of several concurrent requests advances, the others receive the new size', async () => {
  await add(0, 10)
  const sizes = Array.from({ length: 40 }, (_, at) => 11 + at)
  const answers = await Promise.all(sizes.map((size) => add(10, size)))
  const done = answers.flatMap(({ status }, at) => (status === 200 ? [sizes[at]!] : []))
  expect(done).toHaveLength(1)
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(39)
  expect(new Set(answers.filter(({ status }) => status === 409).map(({ body }) => body))).toEqual(
    new Set([`${done[0]}\n`]),
  )
  expect(await known()).toBe(done[0])
})

test('a cosignature that was stored but not sent is returned on retry', async () => {
  // The state left by a process that was killed after it stored the checkpoint and before it answered.
  expect(addCheckpoint(witness.witness, addBody(0, [], log.checkpoint(10))).status).toBe(200)
  const again = await startWitness({ vkeys: [log.vkey], directory: witness.directory })
  expect(await post(again.url, addBody(0, [], log.checkpoint(10)))).toMatchObject({ status: 409, body: '10\n' })
  expect((await post(again.url, addBody(10, [], log.checkpoint(10)))).status).toBe(200)
  await again.close()
})

test('cosignature times never decrease when the clock is set back', async () => {
  await witness.close()
  let now = 2_000_000_000_000
  witness = await startWitness({
    vkeys: [log.vkey],
    directory: witness.directory,
    now: () => now,
    key: witness.witness.key,
  })
  const timeOf = async (old: number, size: number) =>
    findCosignature(log.checkpoint(size) + (await add(old, size)).body, witness.cosigner)
  expect(await timeOf(0, 3)).toBe(2_000_000_000n)
  now = 1_000_000_000_000
  expect(await timeOf(3, 5)).toBe(2_000_000_000n)
  now = 2_000_000_005_000
  expect(await timeOf(5, 5)).toBe(2_000_000_005n)
})

test.each([
  ['empty', () => ''],
  ['cut off', (note: string) => note.slice(0, 20)],
  ["another log's", (note: string) => note.replaceAll(ORIGIN, 'log.example/else')],
])('cosigns nothing while its stored state is %s', async (_name, damage) => {
  await add(0, 10)
  const [file] = await readdir(join(witness.directory, hashOrigin(ORIGIN)))
  const path = join(witness.directory, hashOrigin(ORIGIN), file!)
  const note = await readFile(path, 'utf8')
  await writeFile(path, damage(note))
  expect((await add(10, 12)).status).toBe(500)
  expect((await add(0, 12)).status).toBe(500)
  expect((await fetch(`${witness.url}/healthz`)).status).toBe(500)
  await writeFile(path, note)
  expect((await add(10, 12)).status).toBe(200)
  expect(splitNote(note)!.signatures).toHaveLength(2)
})
