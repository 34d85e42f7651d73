// What the files and parts of one push share.
import type { Registry } from '../connection/registry.ts'
import type { Progress } from '../terminal/progress.ts'
import type { Lanes } from '../transfer/lanes.ts'
import type { Slots } from '../transfer/pool.ts'

/** What all files of a push share. */
export interface Sending {
  registry: Registry
  namespace: string
  lanes: Lanes
  /** For parts on their way. */
  slots: Slots
  /** For parts in memory. */
  held: Slots
  progress: Progress
}

export interface Part {
  number: number
  offset: number
  size: number
}

/** `not needed`: the registry has got the blob meanwhile. */
export type Outcome = 'sent' | 'not needed'
