// Copies checkpoints, full tiles and their entries to a bucket under object lock, in the format of c2sp.org/tlog-tiles.
// Not even the owner of the database and the signing key can change the copy. Any number of replicas may run this job.
import { loop } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import { splitNote } from '#lib/tlog/note.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { formatTilePath, TILE_WIDTH } from '#lib/tlog/tiles.ts'
import { encodeBundle } from '../domain/bundle.ts'
import { findNewestSigned, type StoredCheckpoint } from '../store/tree/checkpoints.ts'
import { readBundle } from '../store/log/entry-lists.ts'
import { findNewestCheckpoint } from '../store/tree/published-checkpoints.ts'
import { findTile } from '../store/tree/tiles.ts'
import { WormBucket, WormMismatch, type WormOptions } from '../store/worm-bucket.ts'
import { advanceWormProgress, readWormProgress, type WormProgress } from '../store/worm-progress.ts'

export interface WormSettings extends WormOptions {
  /** How long the newest checkpoint may wait for its copy before an error is logged. */
  alarmSeconds: number
}

export interface Copier {
  /** Tries once more to copy the newest state, and stops. */
  stop(): Promise<void>
}

const COPY_EVERY_MS = 2_000
/** Tiles copied in one turn, so that a new checkpoint does not wait for the whole log. */
const TILES_PER_TURN = 64

export function startCopier(database: Database, settings: WormSettings, logger: Logger): Copier {
  const bucket = new WormBucket(settings)
  const watch = watchDelay(settings.alarmSeconds, logger)
  let problem = ''
  let wasCompared = false

  const turn = async (): Promise<void> => {
    try {
      if (!wasCompared) await requireCurrentDatabase(database, bucket)
      wasCompared = true
      const isMore = await copyNext(database, bucket)
      problem = ''
      watch(false)
      if (isMore) copying.wake()
    } catch (error) {
      const { message } = error as Error
      if (message !== problem && error instanceof WormMismatch)
        logger.fatal(`locked bucket belongs to another log: ${message}`)
      else if (message !== problem) logger.warn({ error }, 'copying to the locked bucket failed; it is retried')
      problem = message
      watch(true)
    }
  }
  const copying = loop(COPY_EVERY_MS, turn)
  return {
    stop: async () => {
      await copying.stop()
      await turn()
      bucket.close()
    },
  }
}

/** Returns a function that is called after each attempt, and logs an error once the copy is behind for too long. */
function watchDelay(alarmSeconds: number, logger: Logger): (isBehind: boolean) => void {
  let isAlarmed = false
  let behindSince: number | undefined
  return (isBehind) => {
    behindSince = isBehind ? (behindSince ?? performance.now()) : undefined
    const seconds = behindSince === undefined ? 0 : Math.floor((performance.now() - behindSince) / 1000)
    if (seconds >= alarmSeconds && !isAlarmed) {
      logger.error({ seconds }, 'newest checkpoint has not been copied to the locked bucket')
      isAlarmed = true
    }
    if (!isBehind && isAlarmed) {
      logger.info('copying to the locked bucket resumed')
      isAlarmed = false
    }
  }
}

/** Throws WormMismatch where the bucket has a larger checkpoint than the database, which is then a restored backup. */
async function requireCurrentDatabase(database: Database, bucket: WormBucket): Promise<void> {
  const readSize = async () => (await findNewestSigned(forkFor(database)))?.size ?? 0
  const beyond = await bucket.findAfter('checkpoint/', checkpointKey(await readSize()))
  // The size is read again: another replica may have signed and copied that checkpoint meanwhile.
  const size = await readSize()
  if (beyond === undefined || beyond <= checkpointKey(size)) return
  throw new WormMismatch(`bucket has ${beyond}, but the newest checkpoint in the database covers ${size} entries`)
}

/** Copies the newest checkpoint and the next tiles. Returns whether more tiles remain. */
async function copyNext(database: Database, bucket: WormBucket): Promise<boolean> {
  const newest = await findNewestCheckpoint(forkFor(database))
  if (!newest) return false
  const copy = await readWormProgress(forkFor(database), bucket.name)
  if (newest.size > copy.checkpointSize) {
    await bucket.put(checkpointKey(newest.size), Buffer.from(newest.note), (stored) => isSameTree(stored, newest))
    copy.checkpointSize = newest.size
    await advanceWormProgress(forkFor(database), bucket.name, copy)
  }
  const full = Math.floor(newest.size / TILE_WIDTH)
  const until = Math.min(full, copy.tiles + TILES_PER_TURN)
  while (copy.tiles < until) await copyTile(database, bucket, copy)
  return copy.tiles < full
}

/** Copies the next full tile of level 0, its entries, and the tiles above it that it completes. */
async function copyTile(database: Database, bucket: WormBucket, copy: WormProgress): Promise<void> {
  const em = forkFor(database)
  const index = copy.tiles
  const leaves = await readBundle(em, index * TILE_WIDTH, TILE_WIDTH)
  await bucket.put(formatTilePath({ level: 'entries', index }, TILE_WIDTH).slice(1), encodeBundle(leaves))
  for (let level = 0, count = index + 1; ; level += 1, count /= TILE_WIDTH) {
    const name = { level, index: count - 1 }
    const hashes = await findTile(em, name, TILE_WIDTH)
    if (!hashes) throw new Error(`tile ${level}/${name.index} not found in the log`)
    await bucket.put(formatTilePath(name, TILE_WIDTH).slice(1), hashes)
    if (count % TILE_WIDTH !== 0) break
  }
  copy.tiles += 1
  await advanceWormProgress(em, bucket.name, copy)
}

/** The names sort by size. */
function checkpointKey(size: number): string {
  return `checkpoint/${String(size).padStart(16, '0')}`
}

/** Signatures may differ: during a change of keys, or by cosignatures that came later. */
function isSameTree(stored: Buffer, { note }: StoredCheckpoint): boolean {
  return splitNote(stored.toString())?.text === splitNote(note)!.text
}
