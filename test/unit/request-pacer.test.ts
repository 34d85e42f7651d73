// The pace at which requests begin.
import { expect, test } from 'vitest'
import { Starts } from '#lib/server/limits/starts.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a request does not wait for a thousand of another connection that came before it', async () => {
  const starts = new Starts()
  const begun: string[] = []
  const [busy, idle] = [{}, {}]
  for (let number = 0; number < 1_000; number += 1) starts.begin(busy, () => begun.push('busy'))
  expect(begun).toHaveLength(64)
  starts.begin(idle, () => begun.push('idle'))
  await turn()
  expect(begun).toHaveLength(128)
  expect(begun.indexOf('idle')).toBe(65)
  await expect.poll(() => begun.length).toBe(1_001)
})

test('requests begin at once where few arrive, also after many', async () => {
  const starts = new Starts()
  let begun = 0
  for (let number = 0; number < 200; number += 1) starts.begin(starts, () => (begun += 1))
  await expect.poll(() => begun).toBe(200)
  await turn()
  starts.begin(starts, () => (begun += 1))
  expect(begun).toBe(201)
})
