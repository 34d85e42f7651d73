import type { MessageInitShape } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import type { ConfirmPartsRequestSchema, SignPartsRequestSchema } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { DirectParts } from '../../clients/cli/push/direct-parts.ts'

type Parts = MessageInitShape<typeof SignPartsRequestSchema | typeof ConfirmPartsRequestSchema>

/** A service that signs and confirms all parts, and records the calls. */
function service(signal = new AbortController().signal) {
  const calls: string[] = []
  const note = (name: string, { parts = [] }: Parts) =>
    calls.push(`${name} ${parts.map(({ number }) => number).join()}`)
  const direct = {
    signParts: async (request: Parts) => {
      note('sign', request)
      return { parts: request.parts!.map(({ number }) => ({ number, request: { url: `at ${number}` } })) }
    },
    confirmParts: async (request: Parts) => {
      note('confirm', request)
      return {}
    },
  }
  return { calls, registry: { artifact: () => direct as never, signal } }
}

test('confirms an uploaded part at once when the command is interrupted', async () => {
  const interruption = new AbortController()
  const { calls, registry } = service(interruption.signal)
  const parts = new DirectParts(registry, 'id', 1000)
  const sent = parts.upload(part(1), async () => {
    setImmediate(() => interruption.abort())
    return 'etag'
  })
  expect(await sent).toBe('sent')
  expect(calls).toEqual(['sign 1', 'confirm 1'])
})

const part = (number: number) => ({ number, size: 1, sha256: Buffer.alloc(32, number) })

test('signs the first part at once and the next together, and confirms all together', async () => {
  const { calls, registry } = service()
  const parts = new DirectParts(registry, 'id', 4)
  const outcomes = [1, 2, 3, 4].map((number) => parts.upload(part(number), async ({ url }) => `etag ${url}`))
  expect(await Promise.all(outcomes)).toEqual(['sent', 'sent', 'sent', 'sent'])
  expect(calls).toEqual(['sign 1', 'sign 2,3,4', 'confirm 1,2,3,4'])
})

test('confirms uploaded parts although others fail', async () => {
  const { calls, registry } = service()
  const parts = new DirectParts(registry, 'id', 2)
  const failed = parts.upload(part(1), () => Promise.reject(new Error('stalled')))
  const sent = parts.upload(part(2), async () => 'etag')
  await expect(failed).rejects.toThrow('stalled')
  expect(await sent).toBe('sent')
  expect(calls).toEqual(['sign 1', 'sign 2', 'confirm 2'])
})
