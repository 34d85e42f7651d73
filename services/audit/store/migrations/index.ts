import { M0001Log } from './0001-log.ts'
import { M0002Tree } from './0002-tree.ts'
import { M0003Private } from './0003-private.ts'
import { M0004Alarm } from './0004-alarm.ts'
import { M0010Witness } from './0010-witness.ts'
import { M0011Worm } from './0011-worm.ts'
import { M0012Retention } from './0012-retention.ts'
import { M0013Clock } from './0013-clock.ts'

/** The migrations in order. A migration that has been released is never changed. */
export const MIGRATIONS = [
  M0001Log,
  M0002Tree,
  M0003Private,
  M0004Alarm,
  M0010Witness,
  M0011Worm,
  M0012Retention,
  M0013Clock,
]
