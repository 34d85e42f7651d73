// The pace at which requests start.
import { expect, test } from 'vitest'
import { RequestPacer } from '#lib/server/limits/request-pacer.ts'

const nextIteration = () => new Promise((resolve) => setImmediate(resolve))

test('a request does not wait for a thousand of another connection that came before it', async () => {
  const pacer = new RequestPacer()
  const begun: string[] = []
  const [busy, idle] = [{}, {}]
  for (let number = 0; number < 1_000; number += 1) pacer.begin(busy, () => begun.push('busy'))
  expect(begun).toHaveLength(64)
  pacer.begin(idle, () => begun.push('idle'))
  await nextIteration()
  expect(begun).toHaveLength(128)
  expect(begun.indexOf('idle')).toBe(65)
  await expect.poll(() => begun.length).toBe(1_001)
})

test('requests begin at once where few arrive, also after many', async () => {
  const pacer = new RequestPacer()
  let begun = 0
  for (let number = 0; number < 200; number += 1) pacer.begin(pacer, () => (begun += 1))
  await expect.poll(() => begun).toBe(200)
  await nextIteration()
  pacer.begin(pacer, () => (begun += 1))
  expect(begun).toBe(201)
})
