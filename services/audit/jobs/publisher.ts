// Signs a checkpoint whenever the log has grown, and never a fork of it; has it cosigned; and publishes it. Any number of
// replicas may run it.
import { loop } from '#lib/process/background.ts'
import { writeDurably } from '#lib/process/durable.ts'
import type { Logger } from '#lib/process/log.ts'
import { EMPTY_ROOT } from '#lib/tlog/merkle.ts'
import { forkFor, inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { Panel, type Cosigning } from './cosigning.ts'
import { ForkRefused, refuseFork, refuseShrunkLog, type Tree } from '../domain/checkpoint.ts'
import { readMarker } from './marker.ts'
import { signCheckpoint, type Signer } from '../signer.ts'
import {
  findNewestSigned,
  findSigned,
  insertCheckpoint,
  insertPublication,
  lockSigning,
  type StoredCheckpoint,
} from '../store/checkpoint.ts'
import { proveConsistency, readHead } from '../store/tiles.ts'

export interface Publisher {
  /** False while it refuses to sign. */
  isSigning(): boolean
  /** Publishes what has come last, and ends. */
  stop(): Promise<void>
}

export interface PublisherDeps {
  database: Database
  signer: Signer
  /** Undefined: checkpoints are published as they are signed. */
  cosigning: Cosigning | undefined
  logger: Logger
}

const LOOK_EVERY_MS = 1_000

export function startPublisher(deps: PublisherDeps): Publisher {
  const { database, signer, cosigning, logger } = deps
  const panel = cosigning && new Panel(database, cosigning, logger)
  let done: Outcome = { size: 0, isQuorum: true }
  let problem = ''
  let refuses = false

  const attempt = async (): Promise<void> => {
    try {
      const { size } = await readHead(forkFor(database))
      if (size === done.size && done.isQuorum && problem === '') return
      const was = done
      done = await publish(deps, panel)
      if (was.isQuorum !== done.isQuorum) tellQuorum(deps, done)
      if (problem !== '') logger.info({ size: done.size }, 'checkpoint signing resumed')
      problem = ''
      refuses = false
    } catch (error) {
      refuses = error instanceof ForkRefused
      const { message } = error as Error
      if (message !== problem) {
        if (refuses) logger.fatal({ origin: signer.origin }, `checkpoint signing refused: ${message}`)
        else logger.warn({ error }, 'checkpoint signing failed; it is retried')
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
      await panel?.stop()
    },
  }
}

interface Outcome {
  /** Of the tree that was signed. */
  size: number
  /** False where too few witnesses have cosigned. */
  isQuorum: boolean
}

async function publish({ database, signer, cosigning }: PublisherDeps, panel: Panel | undefined): Promise<Outcome> {
  await panel?.confront((await findNewestSigned(forkFor(database))) ?? emptyCheckpoint(signer))
  const signed = await signHead(database, signer, panel === undefined)
  if (!signed || !panel) return { size: signed?.size ?? 0, isQuorum: true }
  const { size } = signed
  const quorum = await panel.collect(signed, signer.keyId)
  const isQuorum = quorum === 'MET'
  if (isQuorum || !cosigning!.withhold)
    await insertPublication(forkFor(database), { size, keyId: signer.keyId, quorum })
  return { size, isQuorum }
}

/** Says nothing of the log, and so may be shown where nothing was signed yet. */
function emptyCheckpoint(signer: Signer): StoredCheckpoint {
  const empty = { size: 0, root: EMPTY_ROOT }
  return { ...empty, note: signCheckpoint(signer, empty) }
}

function tellQuorum({ cosigning, logger }: PublisherDeps, { size, isQuorum }: Outcome): void {
  if (isQuorum) return logger.info({ size }, 'quorum of witnesses is restored')
  const consequence = cosigning!.withhold ? 'withheld' : 'published without a quorum'
  logger.error({ size }, `newest checkpoint lacks a quorum of cosignatures: ${consequence}`)
}

/** Signs the log as it is, unless that was done. Throws ForkRefused where it does not continue what was signed before,
 * as table and state file know it. `isFinal`: it needs no cosignatures, and is published at once. */
export async function signHead(
  database: Database,
  signer: Signer,
  isFinal: boolean,
): Promise<StoredCheckpoint | undefined> {
  const { keyId } = signer
  return inTransaction(database, undefined, async (em) => {
    await lockSigning(em)
    // Read under the lock. Later appends only add to it.
    const head = await readHead(em)
    const marked = readMarker(signer)
    if (marked) await refuseOther(em, head, marked, signer.stateFile!)
    const newest = await findNewestSigned(em)
    if (newest) await refuseOther(em, head, newest, 'the database')
    if (head.size === 0) return undefined
    const signed = await findSigned(em, head.size, keyId)
    const note = signed?.note ?? signCheckpoint(signer, head)
    // Kept before anybody can see it.
    if (signer.stateFile && marked?.note !== note) writeDurably(signer.stateFile, note)
    if (!signed) await insertCheckpoint(em, { ...head, note }, keyId)
    if (isFinal) await insertPublication(em, { size: head.size, keyId, quorum: 'NONE' })
    return { ...head, note }
  })
}

async function refuseOther(em: EntityManager, head: Tree, signed: Tree, where: string): Promise<void> {
  refuseShrunkLog(head, signed, where)
  refuseFork(head, signed, await proveConsistency(em, signed.size, head.size), where)
}
