// Publishes a checkpoint whenever the log has grown: signs it, has it cosigned by the witnesses, and shows it to readers.
// Any number of replicas may run this job.
import { loop } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import { EMPTY_ROOT } from '#lib/tlog/merkle.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { signHead } from '../changes/sign-head.ts'
import { ForkError } from '../domain/checkpoint.ts'
import { signCheckpoint, type Signer } from '../signer.ts'
import { findNewestSigned, insertPublication, type StoredCheckpoint } from '../store/tree/checkpoints.ts'
import { readHead } from '../store/log/log-head.ts'
import type { Cosigning } from '../witnesses/cosigning.ts'
import { WitnessPanel } from '../witnesses/witness-panel.ts'

export interface Publisher {
  /** Returns false while the log is not signed because that would fork it. */
  isSigning(): boolean
  /** Publishes the present head and stops. */
  stop(): Promise<void>
}

export interface PublisherDeps {
  database: Database
  signer: Signer
  /** Without it, checkpoints are published as soon as they are signed. */
  cosigning: Cosigning | undefined
  logger: Logger
}

interface Published {
  /** Number of entries in the signed tree. */
  size: number
  /** False where too few witnesses have cosigned. */
  isQuorum: boolean
}

const POLL_EVERY_MS = 1_000

export function startPublisher(deps: PublisherDeps): Publisher {
  const { database, signer, cosigning, logger } = deps
  const panel = cosigning && new WitnessPanel(database, cosigning, logger)
  let last: Published = { size: 0, isQuorum: true }
  let problem = ''
  let isForked = false

  const attempt = async (): Promise<void> => {
    try {
      const { size } = await readHead(forkFor(database))
      if (size === last.size && last.isQuorum && problem === '') return
      const before = last
      last = await publish(deps, panel)
      if (before.isQuorum !== last.isQuorum) logQuorum(deps, last)
      if (problem !== '') logger.info({ size: last.size }, 'checkpoint signing resumed')
      problem = ''
      isForked = false
    } catch (error) {
      isForked = error instanceof ForkError
      const { message } = error as Error
      if (message !== problem) {
        if (isForked) logger.fatal({ origin: signer.origin }, `checkpoint signing refused: ${message}`)
        else logger.warn({ error }, 'checkpoint signing failed; it is retried')
      }
      problem = message
    }
  }
  const polling = loop(POLL_EVERY_MS, attempt)
  return {
    isSigning: () => !isForked,
    stop: async () => {
      await polling.stop()
      await attempt()
      await panel?.stop()
    },
  }
}

async function publish({ database, signer, cosigning }: PublisherDeps, panel: WitnessPanel | undefined) {
  await panel?.checkLastSigned((await findNewestSigned(forkFor(database))) ?? emptyCheckpoint(signer))
  const signed = await signHead(database, signer, panel === undefined)
  if (!signed || !panel) return { size: signed?.size ?? 0, isQuorum: true }
  const { size } = signed
  const { keyId } = signer
  const quorum = await panel.collect(signed, keyId)
  const isQuorum = quorum === 'MET'
  if (isQuorum || !cosigning!.withhold) await insertPublication(forkFor(database), { size, keyId, quorum })
  return { size, isQuorum }
}

/** Returns the checkpoint of the empty log, which reveals nothing and may be shown before anything was signed. */
function emptyCheckpoint(signer: Signer): StoredCheckpoint {
  const empty = { size: 0, root: EMPTY_ROOT }
  return { ...empty, note: signCheckpoint(signer, empty) }
}

function logQuorum({ cosigning, logger }: PublisherDeps, { size, isQuorum }: Published): void {
  if (isQuorum) return logger.info({ size }, 'quorum of witnesses is restored')
  const consequence = cosigning!.withhold ? 'withheld' : 'published without a quorum'
  logger.error({ size }, `newest checkpoint lacks a quorum of cosignatures: ${consequence}`)
}
