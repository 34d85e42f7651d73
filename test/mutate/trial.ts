// Tries faults with their tests, on several benches at a time.
import type { Bench, Verdict } from './bench.ts'
import { type Fault } from './faults.ts'

export type Outcome = 'caught' | 'timed out' | 'survived' | 'wrong'

export interface Result {
  fault: Fault
  /** `wrong` means that the entry cannot be tried, for example because its tests fail without the fault, too. */
  outcome: Outcome
  seconds: number
  /** The test that failed, or the reason why the entry is wrong. */
  why: string
}

export interface TrialOptions {
  benches: Bench[]
  onResult?: (result: Result) => void
  /** Stops the trial of further faults by returning true. */
  isOver?: () => boolean
}

/** The time limit, which is longer than any test file takes. */
const CLEAN_LIMIT_SECONDS = 900

export async function tryFaults(faults: readonly Fault[], options: TrialOptions): Promise<Result[]> {
  const results: Result[] = []
  // Faults with the same tests are tried one after the other.
  const queue = faults.toSorted((a, b) => (a.tests.join() < b.tests.join() ? -1 : 1))
  const clean = new CleanRuns()
  const work = async (bench: Bench): Promise<void> => {
    while (!options.isOver?.()) {
      const fault = queue.shift()
      if (!fault) return
      const start = performance.now()
      const found = await judge(bench, fault, clean).catch((error: Error) => wrong(error.message))
      const result = { fault, ...found, seconds: (performance.now() - start) / 1000 }
      results.push(result)
      options.onResult?.(result)
    }
  }
  await Promise.all(options.benches.map(work))
  return results
}

/** The results of test files without a fault; each file runs once. */
class CleanRuns {
  readonly #verdicts = new Map<string, Promise<Verdict>>()

  verdictOf(test: string, bench: Bench): Promise<Verdict> {
    const known = this.#verdicts.get(test)
    if (known) return known
    const verdict = bench.run(test, CLEAN_LIMIT_SECONDS)
    this.#verdicts.set(test, verdict)
    return verdict
  }
}

type Found = Pick<Result, 'outcome' | 'why'>

async function judge(bench: Bench, fault: Fault, clean: CleanRuns): Promise<Found> {
  let passed = 0
  for (const test of fault.tests) {
    const without = await clean.verdictOf(test, bench)
    if (without.failure) return wrong(`${test} fails without the fault: ${describe(without)}`)
    const verdict = await bench.try(fault, test, Math.max(60, 5 * without.seconds))
    if (verdict.failure) {
      const isLate = verdict.hung || /timed out/i.test(verdict.failure.message)
      return { outcome: isLate ? 'timed out' : 'caught', why: `${test}: ${describe(verdict)}` }
    }
    passed += verdict.passed
  }
  return passed === 0 ? wrong('no test ran') : { outcome: 'survived', why: '' }
}

function wrong(why: string): Found {
  return { outcome: 'wrong', why }
}

function describe({ failure }: Verdict): string {
  return `${failure?.name ?? ''}: ${failure?.message ?? ''}`
}
