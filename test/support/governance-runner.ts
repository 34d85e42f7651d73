// Replays stories by weakened verifiers, in a process of its own: node governance-runner.ts FILE, which holds the verifier's
// folder, the mutants and the stories as JSON. Prints, for each mutant, how it differs from the real replay.
import { readFileSync } from 'node:fs'
import type { Told } from './governed.ts'
import { loadMutants, type Mutant } from './mutants.ts'

export interface Run {
  folder: string
  mutants: Mutant[]
  stories: Told[][]
}

/** `verdict`: a log is accepted that should be refused, or the reverse; `words`: only the reasons of the refusal differ. */
export type Difference = 'verdict' | 'words' | 'none'

type Replay = typeof import('../../clients/verifier/replay/replay.ts').replayGovernance

interface Judgement {
  /** The counts of an accepted log belong to it. A crash is a verdict of its own: auditors would get none. */
  verdict: string
  words: string
}

function replay(replayGovernance: Replay, story: Told[]): Judgement {
  const governance = replayGovernance()
  try {
    for (const [index, event] of story.entries()) governance.apply(index, event, event.erased)
  } catch (error) {
    return { verdict: 'crashed', words: (error as Error).message }
  }
  const { broken, replayed } = governance
  return {
    verdict: broken.length > 0 ? 'refused' : JSON.stringify(replayed),
    words: JSON.stringify([broken, replayed]),
  }
}

const { folder, mutants, stories } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Run
const load = loadMutants(folder, /^[a-z]+\.ts$/)
const replayOf = async (mutant?: Mutant) =>
  ((await load('replay.ts', mutant)) as { replayGovernance: Replay }).replayGovernance

const real = await replayOf()
const expected = stories.map((story) => replay(real, story))

function compare(mutated: Replay): Difference {
  let found: Difference = 'none'
  for (const [at, story] of stories.entries()) {
    const { verdict, words } = replay(mutated, story)
    if (verdict !== expected[at]!.verdict) return 'verdict'
    if (words !== expected[at]!.words) found = 'words'
  }
  return found
}

for (const mutant of mutants) console.log(compare(await replayOf(mutant)))
