// Signs a checkpoint whenever the log has grown, and never a fork of it. Any number of replicas may run it.
import { loop } from '#lib/background.ts'
import { writeDurably } from '#lib/durable.ts'
import type { Logger } from '#lib/log.ts'
import { formatCheckpoint, signNote } from '#lib/note.ts'
import { forkFor, inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { ForkRefused, refuseFork, refuseShrunkLog, type Tree } from './domain/checkpoint.ts'
import { readMarker } from './marker.ts'
import type { Signer } from './signer.ts'
import { findNewestCheckpoint, findSigned, insertCheckpoint, lockSigning } from './store/checkpoint.ts'
import { proveConsistency, readHead } from './store/tiles.ts'

export interface Publisher {
  /** False while it refuses to sign. */
  isSigning(): boolean
  /** Signs what has come last, and ends. */
  stop(): Promise<void>
}

const LOOK_EVERY_MS = 1_000

export function startPublisher(database: Database, signer: Signer, logger: Logger): Publisher {
  let published = 0
  let problem = ''
  let refuses = false

  const attempt = async (): Promise<void> => {
    try {
      const { size } = await readHead(forkFor(database))
      if (size === published && problem === '') return
      published = await publish(database, signer)
      if (problem !== '') logger.info({ size: published }, 'checkpoints are signed again')
      problem = ''
      refuses = false
    } catch (error) {
      refuses = error instanceof ForkRefused
      const { message } = error as Error
      if (message !== problem) {
        if (refuses) logger.fatal({ origin: signer.origin }, `no checkpoint is signed: ${message}`)
        else logger.warn({ error }, 'no checkpoint can be signed at present')
      }
      problem = message
    }
  }
  const looking = loop(LOOK_EVERY_MS, attempt)
  return {
    isSigning: () => !refuses,
    stop: async () => {
      await looking.stop()
      await attempt()
    },
  }
}

/** Signs the log as it is, unless that was done; returns its size. Throws ForkRefused where it does not continue what
 * was signed before, as table and state file know it. */
export async function publish(database: Database, signer: Signer): Promise<number> {
  return inTransaction(database, undefined, async (em) => {
    await lockSigning(em)
    // Read under the lock. Later appends only add to it.
    const head = await readHead(em)
    const marked = readMarker(signer)
    if (marked) await refuseOther(em, head, marked, signer.stateFile!)
    const newest = await findNewestCheckpoint(em)
    if (newest) await refuseOther(em, head, newest, 'the database')
    if (head.size === 0) return 0
    const signed = await findSigned(em, head.size, signer.keyId)
    const note =
      signed?.note ??
      signNote(formatCheckpoint({ ...head, ...signer, size: BigInt(head.size) }), signer.origin, signer.key)
    // Kept before anybody can see it.
    if (signer.stateFile && marked?.note !== note) writeDurably(signer.stateFile, note)
    if (!signed) await insertCheckpoint(em, { ...head, note }, signer.keyId)
    return head.size
  })
}

async function refuseOther(em: EntityManager, head: Tree, signed: Tree, where: string): Promise<void> {
  refuseShrunkLog(head, signed, where)
  refuseFork(head, signed, await proveConsistency(em, signed.size, head.size), where)
}
