// The types that the files and parts of one push share.
import type { Registry } from '../connection/registry.ts'
import type { Progress } from '../terminal/progress.ts'
import type { ModeSelector } from '../transfer/mode-selector.ts'
import type { Semaphore } from '../transfer/concurrency.ts'

/** The state that all files of a push share. */
export interface PushContext {
  registry: Registry
  namespace: string
  modes: ModeSelector
  /** Limits the parts in flight. */
  slots: Semaphore
  /** Limits the parts in memory. */
  inMemory: Semaphore
  progress: Progress
}

export interface Part {
  number: number
  offset: number
  size: number
}

/** `not needed`: another upload has stored the blob in the meantime. */
export type Outcome = 'sent' | 'not needed'
