// Replays stories by verifiers, in a process of its own: node governance-runner.ts STORIES FOLDERS, files of JSON. Each folder
// holds the verifier's files. Prints, for each folder, what was found wrong with each story, and counted.
import { readFileSync } from 'node:fs'
import type { Told } from './governed.ts'

type Replay = typeof import('../../clients/cli/audit/governance.ts').replayGovernance

function replay(replayGovernance: Replay, story: Told[]): object | string {
  const governance = replayGovernance()
  try {
    for (const [index, event] of story.entries()) governance.apply(index, event, event.erased)
    const { broken, replayed } = governance
    return { broken, replayed }
  } catch (error) {
    return (error as Error).message
  }
}

const [, , storiesFile = '', foldersFile = ''] = process.argv
const stories = JSON.parse(readFileSync(storiesFile, 'utf8')) as Told[][]
for (const folder of JSON.parse(readFileSync(foldersFile, 'utf8')) as string[]) {
  const { replayGovernance } = (await import(`${folder}/governance.ts`).catch((error: Error) => {
    throw new Error(`${folder} cannot run`, { cause: error })
  })) as { replayGovernance: Replay }
  console.log(JSON.stringify(stories.map((story) => replay(replayGovernance, story))))
}
