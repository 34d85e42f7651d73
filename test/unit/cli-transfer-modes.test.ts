import { Code, ConnectError } from '@connectrpc/connect'
import { expect, test, vi } from 'vitest'
import { ModeSelector } from '../../clients/cli/transfer/mode-selector.ts'
import { isLoopback } from '../../clients/cli/transfer/loopback.ts'
import { openModeSelector } from '../../clients/cli/transfer/settings.ts'
import { StoreError } from '../../clients/cli/transfer/store-error.ts'

const { signal } = new AbortController()
const SETTINGS = { mode: 'auto' as const, stallMs: 1000, secure: false, local: true }

function ways(failure?: Error) {
  const direct = vi.fn(async () => {
    if (failure) throw failure
    return 'direct'
  })
  return { direct, stream: vi.fn(async () => 'stream') }
}

test('does not use an unreachable store again', async () => {
  const modes = new ModeSelector(SETTINGS)
  const failing = ways(new StoreError('unreachable', 'no route'))
  expect(await modes.run(signal, failing)).toBe('stream')
  expect(await modes.run(signal, failing)).toBe('stream')
  expect(failing.direct).toHaveBeenCalledTimes(1)
})

test('uses the store again after one failure, but not after two in a row', async () => {
  const modes = new ModeSelector(SETTINGS)
  const failing = ways(new StoreError('stalled', 'nothing moves'))
  await modes.run(signal, failing)
  expect(await modes.run(signal, ways())).toBe('direct')
  modes.reportSuccess()
  await modes.run(signal, failing)
  await modes.run(signal, failing)
  expect(await modes.run(signal, ways())).toBe('stream')
})

test('requests signed URLs once from a server that does not offer them', async () => {
  const modes = new ModeSelector(SETTINGS)
  expect(await modes.run(signal, ways(new ConnectError('what?', Code.Unimplemented)))).toBe('stream')
  expect(await modes.run(signal, ways())).toBe('stream')
})

test('throws errors that the transfer mode did not cause', async () => {
  const failing = ways(new ConnectError('no such upload', Code.NotFound))
  await expect(new ModeSelector(SETTINGS).run(signal, failing)).rejects.toThrow('no such upload')
  expect(failing.stream).not.toHaveBeenCalled()
})

test('streams small parts first, and everything in the mode stream', async () => {
  expect(await new ModeSelector(SETTINGS).run(signal, ways(), { streamFirst: true })).toBe('stream')
  expect(await new ModeSelector({ ...SETTINGS, mode: 'stream' }).run(signal, ways())).toBe('stream')
  expect(await new ModeSelector({ ...SETTINGS, mode: 'direct' }).run(signal, ways(), { streamFirst: true })).toBe(
    'direct',
  )
})

test.each([
  ['localhost', true],
  ['127.0.0.1', true],
  ['[::1]', true],
  ['minio', false],
  ['127.0.0.1.example.com', false],
])('%s is a loopback address: %s', (name, expected) => {
  expect(isLoopback(name)).toBe(expected)
})

test('requires TLS for the store of a TLS server, and no loopback address for a remote server', () => {
  expect(openModeSelector('auto', {}, 'https://registry.example.com').settings).toMatchObject({
    secure: true,
    local: false,
  })
  expect(openModeSelector('auto', {}, 'http://127.0.0.1:7700').settings).toMatchObject({ secure: false, local: true })
  expect(() => openModeSelector('auto', { MODELKEEP_STALL_SECONDS: 'soon' }, 'http://x')).toThrow(
    'MODELKEEP_STALL_SECONDS',
  )
})
