// Replays stories by weakened verifiers: node governance-runner.ts FILE, where the JSON file has the verifier's folder, the
// mutants and the stories. Prints for each mutant how it differs from the real replay.
import { readFileSync } from 'node:fs'
import type { StoryEvent } from './governed.ts'
import { loadMutants, type Mutant } from './mutants.ts'

export interface Run {
  folder: string
  mutants: Mutant[]
  stories: StoryEvent[][]
}

/** `verdict`: the mutant accepts a log that the real replay rejects, or the reverse. `words`: only the reasons differ. */
export type Difference = 'verdict' | 'words' | 'none'

type Replay = typeof import('../../clients/verifier/replay/replay.ts').replayGovernance

interface Judgement {
  /** The counts of an accepted log. A crash is a separate verdict, because an auditor would get none. */
  verdict: string
  words: string
}

function replay(replayGovernance: Replay, story: StoryEvent[]): Judgement {
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

const realReplay = await replayOf()
/** The stories with the real judgement. A story that revealed a mutant is moved to the front, as it often reveals the next. */
const expected = stories.map((story) => ({ story, ...replay(realReplay, story) }))

function compare(mutated: Replay): Difference {
  let found: Difference = 'none'
  for (const [at, real] of expected.entries()) {
    const { verdict, words } = replay(mutated, real.story)
    if (verdict !== real.verdict) {
      expected.unshift(...expected.splice(at, 1))
      return 'verdict'
    }
    if (words !== real.words) found = 'words'
  }
  return found
}

for (const mutant of mutants) console.log(compare(await replayOf(mutant)))
