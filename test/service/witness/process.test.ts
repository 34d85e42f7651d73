// The witness as a process: killed during requests, and two processes on one directory.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, expect, test } from 'vitest'
import { addBody, makeKey, MemoryLog, post } from '../../support/witness.ts'

const home = await mkdtemp(join(tmpdir(), 'modelkeep-witness-'))
const children: ChildProcess[] = []
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(home, { recursive: true, force: true })
})

const log = new MemoryLog()
const key = makeKey().export({ format: 'der', type: 'pkcs8' }).toString('base64')

async function startProcess(directory: string) {
  const child = spawn(process.execPath, ['services/main.ts', 'witness'], {
    env: {
      PORT: '0',
      WITNESS_NAME: 'witness.example/p',
      WITNESS_KEY: key,
      WITNESS_LOGS: log.vkey,
      WITNESS_DIRECTORY: join(home, directory),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  children.push(child)
  const ended = once(child, 'exit')
  for await (const line of createInterface(child.stderr)) {
    const { message, port, vkey } = JSON.parse(line) as { message: string; port: number; vkey: string }
    if (message === 'serving') {
      child.stderr.resume()
      return { child, ended, url: `http://127.0.0.1:${port}`, vkey }
    }
  }
  throw new Error('the witness did not start')
}

const body = (oldSize: number, size: number) => addBody(oldSize, log.proof(oldSize, size), log.checkpoint(size))

test('a killed witness restarts with everything it has acknowledged', async () => {
  let acknowledged = 0
  for (let round = 1; round <= 8; round += 1) {
    const running = await startProcess('killed')
    const answer = await post(running.url, body(0, 0))
    // The last checkpoint may have been stored without a response.
    const known = answer.status === 200 ? 0 : Number(answer.body)
    expect([acknowledged, acknowledged + 1]).toContain(known)
    acknowledged = known
    const last = acknowledged + 1 + (round % 4)
    for (let size = acknowledged + 1; size < last; size += 1) {
      expect((await post(running.url, body(size - 1, size))).status).toBe(200)
      acknowledged = size
    }
    const cutOff = post(running.url, body(last - 1, last)).catch(() => undefined)
    if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
    running.child.kill('SIGKILL')
    await running.ended
    if ((await cutOff)?.status === 200) acknowledged = last
  }
}, 60_000)

test('two processes on one directory never both advance', async () => {
  const both = await Promise.all([startProcess('shared'), startProcess('shared')])
  expect((await post(both[0].url, body(0, 10))).status).toBe(200)
  for (let size = 11; size < 41; size += 1) {
    const fork = new MemoryLog(log.origin, size - 1)
    const forked = addBody(size - 1, fork.proof(size - 1, size), fork.checkpoint(size, log.key))
    const answers = await Promise.all([post(both[0].url, body(size - 1, size)), post(both[1].url, forked)])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]))
    if (answers[0].status === 409) {
      // The witness saw the fork first, so it accepts the fork as the log.
      expect((await post(both[0].url, body(size, size))).status).toBe(422)
      break
    }
  }
  for (const { child, ended } of both) {
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  }
})
