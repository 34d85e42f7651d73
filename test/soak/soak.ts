// Pushes, pulls, lets go and collects for as long as it is told, while the store fails and a replica dies again and
// again. Whatever was acknowledged must be there, right; whatever was not must leave nothing.
import { ConnectError } from '@connectrpc/connect'
import { setTimeout as sleep } from 'node:timers/promises'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { reasonOf } from '../../services/lib/fault.ts'
import { findLeftovers } from '../support/leftovers.ts'
import type { S3Access } from '../support/minio-server.ts'
import { seededRandom, type Random } from '../support/random.ts'
import { inTurn, newBlob, pull, push, WrongBytes, type KnownBlob } from './blobs.ts'
import { SLOW_UPLOAD_SECONDS, uploadSlowly } from './slow-upload.ts'
import { startWorld, TOKEN, type Measure, type World } from './world.ts'

export interface SoakOptions {
  seconds: number
  seed: number
  databaseUrl: string
  access: S3Access
  onLine: (line: string) => void
}

export interface SoakReport {
  pushes: number
  pulls: number
  restarts: number
  faults: number
  /** What must be empty. */
  lost: string[]
  wrong: string[]
  stuck: string[]
  leftovers: string[]
  atOnce: number
  warm: Measure
  end: Measure
}

const WORKERS = 4
/** How long a client goes on trying. */
const PATIENCE_MS = 90_000
/** Blobs that a soak works with at a time; older ones are compared at the end only. */
const RECENT = 200

interface Soak {
  world: World
  random: Random
  blobs: KnownBlob[]
  report: SoakReport
  until: number
}

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const random = seededRandom(options.seed)
  const world = await startWorld(options.databaseUrl, options.access, random)
  const report = emptyReport()
  const until = Date.now() + options.seconds * 1000
  const run: Soak = { world, random, blobs: [], report, until }
  try {
    const workers = Array.from({ length: WORKERS }, (_, worker) => work(run, worker))
    await Promise.all([...workers, restartAgainAndAgain(run), watch(run, options), pushSlowly(run, options)])
    world.heal()
    await compareAll(run)
    report.leftovers = await cleanUp(run)
    await sleep(2_000)
    report.end = await world.measure()
    report.faults = world.chaos.seen.filter(({ fault }) => fault).length
    report.atOnce = world.chaos.mostAtOnce
    return report
  } finally {
    await world.stop()
  }
}

function emptyReport(): SoakReport {
  const none: Measure = { rssMebibytes: 0, handles: 0 }
  const counts = { pushes: 0, pulls: 0, restarts: 0, faults: 0, atOnce: 0 }
  return { ...counts, lost: [], wrong: [], stuck: [], leftovers: [], warm: none, end: none }
}

async function work(run: Soak, worker: number): Promise<void> {
  const { random, blobs, report } = run
  for (let step = 1; Date.now() < run.until; step += 1) {
    const known = blobs.length > 0 ? random.pick(blobs.slice(-RECENT)) : undefined
    const choice = random.below(10)
    if (!known || choice < 4) await pushPatiently(run, newBlob(`${random.seed} ${worker} ${step}`, random))
    else if (choice < 5) await pushPatiently(run, known)
    else {
      await inTurn(known, () => pullPatiently(run, known))
      report.pulls += 1
    }
  }
}

async function pushPatiently(run: Soak, blob: KnownBlob): Promise<void> {
  const inParts = run.random.below(2) === 0
  await inTurn(blob, () => patiently(run, `push of ${blob.name}`, () => push(run.world, blob, inParts)))
  run.report.pushes += 1
  if (!run.blobs.includes(blob)) run.blobs.push(blob)
}

async function pullPatiently(run: Soak, blob: KnownBlob): Promise<void> {
  await patiently(run, `pull of ${blob.name}`, async () => {
    try {
      await pull(run.world, blob, run.random)
    } catch (error) {
      const gone = reasonOf(ConnectError.from(error))?.reason === 'BLOB_NOT_FOUND'
      if (gone && !blob.kept) return
      if (gone) run.report.lost.push(blob.name)
      else if (error instanceof WrongBytes) run.report.wrong.push(error.message)
      else throw error
    }
  })
}

async function patiently(run: Soak, what: string, step: () => Promise<void>): Promise<void> {
  const until = Date.now() + PATIENCE_MS
  for (;;) {
    try {
      return await step()
    } catch (error) {
      if (Date.now() > until) return void run.report.stuck.push(`${what}: ${String(error)}`)
      await sleep(50 + run.random.below(400))
    }
  }
}

async function pushSlowly({ world, report }: Soak, { seconds, seed }: SoakOptions): Promise<void> {
  if (seconds < SLOW_UPLOAD_SECONDS) return
  const complaint = await uploadSlowly(world.steadyAddress, TOKEN, `slow ${seed}`)
  if (complaint) report.stuck.push(complaint)
}

async function restartAgainAndAgain({ world, random, report, until }: Soak): Promise<void> {
  for (;;) {
    const pause = 2_000 + random.below(5_000)
    if (Date.now() + pause > until) return
    await sleep(pause)
    await world.restart()
    report.restarts += 1
  }
}

/** Takes the measure after the first third, and says from time to time how far it is. */
async function watch({ world, report, until }: Soak, { seconds, onLine }: SoakOptions): Promise<void> {
  const step = Math.min(60_000, (seconds * 1000) / 3)
  await sleep((seconds * 1000) / 3)
  report.warm = await world.measure()
  while (Date.now() + step < until) {
    await sleep(step)
    const { rssMebibytes, handles } = await world.measure()
    onLine(`${report.pushes} pushes, ${report.pulls} pulls, ${rssMebibytes} MiB, ${handles} handles`)
  }
}

async function compareAll(run: Soak): Promise<void> {
  for (const blob of run.blobs) await pullPatiently(run, blob)
}

/** Ends what is unfinished and lets the janitors do their work. What is left then was forgotten. */
async function cleanUp({ world }: Soak): Promise<string[]> {
  const keys = world.chaos.seen.flatMap(({ operation, key }) => (operation === 'CreateMultipartUpload' ? [key] : []))
  for (let tries = 1; ; tries += 1) {
    const leftovers = await findLeftovers(world, world.bucket, [...new Set(keys)])
    if (leftovers.length === 0 || tries === 40) return leftovers
    // A janitor looks again whenever somebody gives an upload up.
    const uploads = world.client(UploadService)
    const { result } = await uploads.startUpload({ digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 1n })
    if (result.case === 'upload') await uploads.abortUpload({ uploadId: result.value.id })
    await sleep(1_000)
  }
}
