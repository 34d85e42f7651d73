import { Code, ConnectError } from '@connectrpc/connect'
import { expect, test, vi } from 'vitest'
import { Lanes } from '../../clients/cli/transfer/lanes.ts'
import { isLocal } from '../../clients/cli/transfer/local.ts'
import { openLanes } from '../../clients/cli/transfer/settings.ts'
import { StoreProblem } from '../../clients/cli/transfer/store-problem.ts'

const { signal } = new AbortController()
const SETTINGS = { choice: 'auto' as const, stallMs: 1000, secure: false, local: true }

function ways(failure?: Error) {
  const direct = vi.fn(async () => {
    if (failure) throw failure
    return 'direct'
  })
  return { direct, stream: vi.fn(async () => 'stream') }
}

test('a store that cannot be reached is asked once', async () => {
  const lanes = new Lanes(SETTINGS)
  const failing = ways(new StoreProblem('unreachable', 'no route'))
  expect(await lanes.move(signal, failing)).toBe('stream')
  expect(await lanes.move(signal, failing)).toBe('stream')
  expect(failing.direct).toHaveBeenCalledTimes(1)
})

test('a store that fails now and then is asked again, one that fails twice in a row is not', async () => {
  const lanes = new Lanes(SETTINGS)
  const failing = ways(new StoreProblem('stalled', 'nothing moves'))
  await lanes.move(signal, failing)
  expect(await lanes.move(signal, ways())).toBe('direct')
  lanes.succeeded()
  await lanes.move(signal, failing)
  await lanes.move(signal, failing)
  expect(await lanes.move(signal, ways())).toBe('stream')
})

test('a server that does not know the direct lane is asked once', async () => {
  const lanes = new Lanes(SETTINGS)
  expect(await lanes.move(signal, ways(new ConnectError('what?', Code.Unimplemented)))).toBe('stream')
  expect(await lanes.move(signal, ways())).toBe('stream')
})

test('what is not the fault of the lane is thrown', async () => {
  const failing = ways(new ConnectError('no such upload', Code.NotFound))
  await expect(new Lanes(SETTINGS).move(signal, failing)).rejects.toThrow('no such upload')
  expect(failing.stream).not.toHaveBeenCalled()
})

test('small things take the stream first, and everything does when it is asked for', async () => {
  expect(await new Lanes(SETTINGS).move(signal, ways(), { streamFirst: true })).toBe('stream')
  expect(await new Lanes({ ...SETTINGS, choice: 'stream' }).move(signal, ways())).toBe('stream')
  expect(await new Lanes({ ...SETTINGS, choice: 'direct' }).move(signal, ways(), { streamFirst: true })).toBe('direct')
})

test.each([
  ['localhost', true],
  ['127.0.0.1', true],
  ['[::1]', true],
  ['minio', false],
  ['127.0.0.1.example.com', false],
])('%s means this machine: %s', (name, expected) => {
  expect(isLocal(name)).toBe(expected)
})

test('bytes of a server with TLS are not sent without, and those of a far one not to this machine', () => {
  expect(openLanes('auto', {}, 'https://registry.example.com').settings).toMatchObject({ secure: true, local: false })
  expect(openLanes('auto', {}, 'http://127.0.0.1:7700').settings).toMatchObject({ secure: false, local: true })
  expect(() => openLanes('auto', { MODELKEEP_STALL_SECONDS: 'soon' }, 'http://x')).toThrow('MODELKEEP_STALL_SECONDS')
})
