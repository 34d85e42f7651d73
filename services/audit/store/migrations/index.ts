import { M0001Log } from './0001-log.ts'

/** In order. A migration that has been released is never changed. */
export const MIGRATIONS = [M0001Log]
