// A few runs of `npm run kill:audit`.
import { expect, test } from 'vitest'
import { runKillMatrix } from '../support/kill-matrix.ts'
import { chosenSeed } from '../support/random.ts'

const seed = chosenSeed()

test(`killed under load, the log loses and doubles nothing that was acknowledged (seed ${seed})`, async () => {
  const { complaints, acknowledged, kills } = await runKillMatrix({ runs: 8, seed })
  expect(complaints).toEqual([])
  expect(acknowledged).toBeGreaterThan(0)
  expect(Object.values(kills).reduce((sum, count) => sum + count)).toBe(8)
}, 180_000)
