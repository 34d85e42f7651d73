import { M0001Outbox } from './0001-outbox.ts'
import { M0002Artifacts } from './0002-artifacts.ts'

/** In order. A migration that has been released is never changed. */
export const MIGRATIONS = [M0001Outbox, M0002Artifacts]
