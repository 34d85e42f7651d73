// Copies checkpoints, full tiles and their entries to a bucket under object lock, in the form of c2sp.org/tlog-tiles:
// who holds database and signing key cannot change what is there. Any number of replicas may run it.
import { loop } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import { splitNote } from '#lib/tlog/note.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { formatTilePath, TILE_WIDTH } from '#lib/tlog/tiles.ts'
import { encodeBundle } from '../domain/bundle.ts'
import { findNewestCheckpoint, findNewestSigned, type StoredCheckpoint } from '../store/checkpoint.ts'
import { readBundle } from '../store/read.ts'
import { findTile } from '../store/tiles.ts'
import { WormBucket, WormMismatch, type WormOptions } from '../store/worm-bucket.ts'
import { advanceWormCopy, readWormCopy, type WormCopy } from '../store/worm-copy.ts'

export interface WormSettings extends WormOptions {
  /** How long the newest checkpoint may wait for its copy before that is told as an error. */
  alarmSeconds: number
}

export interface Copier {
  /** Copies what is there, once, as far as that succeeds, and ends. */
  stop(): Promise<void>
}

const COPY_EVERY_MS = 2_000
/** Of one turn, so that a new checkpoint does not wait for a whole log. */
const TILES_AT_ONCE = 64

export function startCopier(database: Database, settings: WormSettings, logger: Logger): Copier {
  const bucket = new WormBucket(settings)
  let trouble = ''
  let isAlarmed = false
  let behindSince: number | undefined
  let wasCompared = false

  const watch = (isBehind: boolean): void => {
    behindSince = isBehind ? (behindSince ?? performance.now()) : undefined
    const seconds = behindSince === undefined ? 0 : Math.floor((performance.now() - behindSince) / 1000)
    if (seconds >= settings.alarmSeconds && !isAlarmed) {
      logger.error({ seconds }, 'newest checkpoint has not been copied to the locked bucket')
      isAlarmed = true
    }
    if (!isBehind && isAlarmed) {
      logger.info('copying to the locked bucket resumed')
      isAlarmed = false
    }
  }

  const turn = async (): Promise<void> => {
    try {
      if (!wasCompared) await refuseForgotten(database, bucket)
      wasCompared = true
      const isMore = await copyNext(database, bucket)
      trouble = ''
      watch(false)
      if (isMore) copying.wake()
    } catch (error) {
      const { message } = error as Error
      if (message !== trouble && error instanceof WormMismatch)
        logger.fatal(`locked bucket belongs to another log: ${message}`)
      else if (message !== trouble) logger.warn({ error }, 'copying to the locked bucket failed; it is retried')
      trouble = message
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

/** A checkpoint in the bucket that the database has forgotten: it is older than what was signed. */
async function refuseForgotten(database: Database, bucket: WormBucket): Promise<void> {
  const readSize = async () => (await findNewestSigned(forkFor(database)))?.size ?? 0
  const beyond = await bucket.findAfter('checkpoint/', checkpointKey(await readSize()))
  // Asked again: another replica may have signed and copied it just now.
  const size = await readSize()
  if (beyond === undefined || beyond <= checkpointKey(size)) return
  throw new WormMismatch(`bucket has ${beyond}, but the newest checkpoint in the database covers ${size} entries`)
}

/** Returns whether there is more. */
async function copyNext(database: Database, bucket: WormBucket): Promise<boolean> {
  const newest = await findNewestCheckpoint(forkFor(database))
  if (!newest) return false
  const copy = await readWormCopy(forkFor(database), bucket.name)
  if (newest.size > copy.checkpointSize) {
    await bucket.put(checkpointKey(newest.size), Buffer.from(newest.note), (there) => isSameTree(there, newest))
    copy.checkpointSize = newest.size
    await advanceWormCopy(forkFor(database), bucket.name, copy)
  }
  const full = Math.floor(newest.size / TILE_WIDTH)
  const until = Math.min(full, copy.tiles + TILES_AT_ONCE)
  while (copy.tiles < until) await copyTile(database, bucket, copy)
  return copy.tiles < full
}

/** The next full tile of level 0, its entries, and the tiles above that it makes full. */
async function copyTile(database: Database, bucket: WormBucket, copy: WormCopy): Promise<void> {
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
  await advanceWormCopy(em, bucket.name, copy)
}

/** In the order of their sizes. */
function checkpointKey(size: number): string {
  return `checkpoint/${String(size).padStart(16, '0')}`
}

/** It may have other signatures: during a change of keys, or with cosignatures that came later. */
function isSameTree(there: Buffer, { note }: StoredCheckpoint): boolean {
  return splitNote(there.toString())?.text === splitNote(note)!.text
}
