// Reproducible random numbers: the same seed produces the same sequence.

export interface Random {
  seed: number
  /** A number from 0 to 1, excluding 1. */
  next(): number
  /** A whole number below `limit`. */
  below(limit: number): number
  pick<T>(values: readonly T[]): T
}

/** Returns `CHAOS_SEED` if it is set, and otherwise a new seed. */
export function chosenSeed(): number {
  return Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
}

/** A 32-bit Weyl sequence with a mixing function, which is random enough to choose the next fault. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return { seed, next, below, pick: (values) => values[below(values.length)]! }
}

/** Returns a copy in random order. */
export function shuffle<T>(values: readonly T[], random: Random): T[] {
  const rest = [...values]
  return values.map(() => rest.splice(random.below(rest.length), 1)[0]!)
}
