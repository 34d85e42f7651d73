// Many clients at once on a store that fails at random. CHAOS_SEED repeats a run, CHAOS_ROUNDS makes it longer.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MIB } from '../../support/artifact.ts'
import { makeBytes } from '../../support/bytes.ts'
import {
  expectNothingLeft,
  retryUntilSuccess,
  pull,
  pushInOneStream,
  pushInParts,
  startChaosArtifact,
  type ChaosArtifact,
} from '../../support/chaos-artifact.ts'
import { drawFault } from '../../support/chaos-faults.ts'
import { chosenSeed, seededRandom } from '../../support/random.ts'

const ROUNDS = Number(process.env['CHAOS_ROUNDS'] ?? 6)
const CLIENTS = 4
/** The share of requests to the store that fail. */
const FAULTY = 0.15
const SIZES = [0, 1, 70_000, 3 * MIB, 16 * MIB, 16 * MIB + 1, 33 * MIB]
const MOST_TRIES = 30
const CLEAR = ['DEPENDENCY_UNAVAILABLE', 'UPLOAD_CLOSED', 'UPLOAD_BUSY', 'PARTS_MISSING', 'BLOB_CORRUPT']

let place: ChaosArtifact
beforeAll(async () => {
  place = await startChaosArtifact()
})
afterAll(() => place.stop())

test('every acknowledged blob is stored, and no other object', { timeout: (60 + 20 * ROUNDS) * 1000 }, async () => {
  const seed = chosenSeed()
  console.log(`CHAOS_SEED=${seed} CHAOS_ROUNDS=${ROUNDS}`)
  const random = seededRandom(seed)
  place.chaos.decide = (operation) => drawFault(random, FAULTY, operation)
  const acknowledged = new Map<string, Buffer>()
  for (let round = 1; round <= ROUNDS; round += 1) {
    const steps = Array.from({ length: CLIENTS }, async (_, client) => {
      const known = [...acknowledged.values()]
      if (known.length > 0 && random.below(3) === 0)
        return retryUntilSuccess(() => pull(place, random.pick(known)), MOST_TRIES)
      // Sometimes two clients send the same bytes.
      const name = `${seed} ${round} ${random.below(3) === 0 ? 'shared' : client}`
      const bytes = makeBytes(SIZES[(round + (name.endsWith('shared') ? 0 : client)) % SIZES.length]!, name)
      const push = random.pick([pushInParts, pushInOneStream])
      const reasons = await retryUntilSuccess(() => push(place, bytes), MOST_TRIES)
      acknowledged.set(name, bytes)
      return reasons
    })
    for (const reasons of await Promise.all(steps)) for (const reason of reasons) expect(CLEAR).toContain(reason)
  }
  place.chaos.decide = () => undefined
  for (const bytes of acknowledged.values()) await pull(place, bytes)
  await expectNothingLeft(place)
  expect(place.chaos.mostAtOnce).toBeLessThanOrEqual(1)
})
