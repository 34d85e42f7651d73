// Chance that can be had again: the same seed gives the same run.

export interface Random {
  seed: number
  /** 0 to 1, without 1. */
  next(): number
  /** A whole number below `limit`. */
  below(limit: number): number
  pick<T>(values: readonly T[]): T
}

/** `CHAOS_SEED` where it is set, and otherwise another one every time. */
export function chosenSeed(): number {
  return Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
}

/** A 32-bit Weyl sequence behind a mixing function; good enough to choose what breaks next. */
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

/** A copy in another order. */
export function shuffle<T>(values: readonly T[], random: Random): T[] {
  const rest = [...values]
  return values.map(() => rest.splice(random.below(rest.length), 1)[0]!)
}
