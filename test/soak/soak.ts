// Pushes and pulls blobs, creates and deletes versions, collects garbage and verifies bytes for a given time, while the store
// fails and a replica is killed repeatedly. Blobs of versions and of active leases must exist unchanged; all others must be
// deleted in the end.
import { ConnectError } from '@connectrpc/connect'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { reasonOf } from '../../services/lib/errors/read-error.ts'
import { findLeftovers } from '../support/leftovers.ts'
import type { S3Access } from '../support/minio-server.ts'
import { seededRandom, type Random } from '../support/random.ts'
import { inTurn, newBlob, pull, push, WrongBytes, type KnownBlob } from './blobs.ts'
import { SLOW_UPLOAD_SECONDS, uploadSlowly } from './slow-upload.ts'
import { collect, expireAll, markReleased, release, retain, type KnownVersion } from './versions.ts'
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
  versions: number
  released: number
  collected: number
  restarts: number
  faults: number
  /** These four lists must be empty. */
  lost: string[]
  wrong: string[]
  stuck: string[]
  leftovers: string[]
  atOnce: number
  warm: Measure
  end: Measure
}

const WORKERS = 4
/** How long a client retries. */
const PATIENCE_MS = 90_000
/** The number of newest blobs that the soak uses; older ones are compared only at the end. */
const RECENT = 200

interface Soak {
  world: World
  random: Random
  blobs: KnownBlob[]
  versions: KnownVersion[]
  report: SoakReport
  until: number
}

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const random = seededRandom(options.seed)
  const world = await startWorld(options.databaseUrl, options.access, random)
  const report = emptyReport()
  const until = Date.now() + options.seconds * 1000
  const run: Soak = { world, random, blobs: [], versions: [], report, until }
  try {
    const workers = Array.from({ length: WORKERS }, (_, worker) => work(run, worker))
    await Promise.all([
      ...workers,
      restartRepeatedly(run),
      collectRepeatedly(run),
      watch(run, options),
      pushSlowly(run, options),
    ])
    world.heal()
    await collectAll(run)
    await compareAll(run)
    report.leftovers.push(...(await cleanUp(run)))
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
  const counts = { pushes: 0, pulls: 0, versions: 0, released: 0, collected: 0, restarts: 0, faults: 0, atOnce: 0 }
  return { ...counts, lost: [], wrong: [], stuck: [], leftovers: [], warm: none, end: none }
}

async function work(run: Soak, worker: number): Promise<void> {
  const { random, blobs, report } = run
  for (let step = 1; Date.now() < run.until; step += 1) {
    const known = blobs.length > 0 ? random.pick(blobs.slice(-RECENT)) : undefined
    const choice = random.below(13)
    if (choice >= 12 && run.versions.length > 3) await giveUpVersion(run)
    else if (choice >= 10 && known) await makeVersion(run)
    else if (!known || choice < 4) await pushPatiently(run, newBlob(`${random.seed} ${worker} ${step}`, random))
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

async function makeVersion(run: Soak): Promise<void> {
  const { blobs, random } = run
  const chosen = Array.from({ length: 1 + random.below(4) }, () => random.pick(blobs.slice(-RECENT)))
  const id = randomUUID()
  await patiently(run, 'version', async () => {
    run.versions.push(await retain(run.world, [...new Set(chosen)], id))
    run.report.versions += 1
  })
}

async function giveUpVersion(run: Soak): Promise<void> {
  const [version] = run.versions.splice(run.random.below(run.versions.length), 1)
  if (!version) return
  markReleased(version)
  await patiently(run, `release of ${version.id}`, () => release(run.world, version))
  run.report.released += 1
}

async function pullPatiently(run: Soak, blob: KnownBlob): Promise<void> {
  await patiently(run, `pull of ${blob.name}`, async () => {
    const { broken } = blob
    const isPromised = blob.kept || blob.holds > 0
    try {
      await pull(run.world, blob, run.random)
    } catch (error) {
      const gone = reasonOf(ConnectError.from(error))?.reason === 'BLOB_NOT_FOUND'
      if (gone && (!isPromised || blob.broken !== broken)) return
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
  const violation = await uploadSlowly(world.steadyAddress, TOKEN, `slow ${seed}`)
  if (violation) report.stuck.push(violation)
}

async function restartRepeatedly({ world, random, report, until }: Soak): Promise<void> {
  for (;;) {
    const pause = 2_000 + random.below(5_000)
    if (Date.now() + pause > until) return
    await sleep(pause)
    await world.restart()
    report.restarts += 1
  }
}

/** Expires the leases of everything that nothing retains, at random moments, and collects the garbage. */
async function collectRepeatedly(run: Soak): Promise<void> {
  const { world, random, report, until } = run
  for (;;) {
    const pause = 2_000 + random.below(3_000)
    if (Date.now() + pause > until) return
    await sleep(pause)
    await patiently(run, 'the passage of time', () => expireAll(world, run.blobs))
    await collect(world).then(
      (count) => (report.collected += count),
      // The store failed, or the replica was killed; the next run collects the rest.
      () => undefined,
    )
  }
}

/** Collects everything that no version needs. */
async function collectAll(run: Soak): Promise<void> {
  const { world, report } = run
  // One round each for manifests, leases, and the grace period after them.
  for (let round = 1; round <= 3; round += 1) {
    await patiently(run, 'the last passage of time', () => expireAll(world, run.blobs))
    await patiently(run, 'the last collection', async () => {
      report.collected += await collect(world)
    })
  }
  const versions = new Set(run.versions.map(({ id }) => id))
  const holds = await world.sql<{ id: string }>('select version_id id from artifact.manifest_hold')
  report.leftovers.push(
    ...holds.filter(({ id }) => !versions.has(id)).map(({ id }) => `retained without a version: ${id}`),
  )
  const unheld = await world.sql<{ digest: string }>(
    `select digest from artifact.namespace_blob where digest not in (
      select blob_digest from artifact.manifest_blob join artifact.manifest_hold hold on hold.digest = manifest_digest)`,
  )
  report.leftovers.push(...unheld.map(({ digest }) => `retained by no manifest: ${digest}`))
}

/** Measures after the first third, and reports the progress from time to time. */
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

/** Expires everything unfinished and waits for the background jobs. Returns what they did not delete. */
async function cleanUp({ world }: Soak): Promise<string[]> {
  const keys = world.chaos.seen.flatMap(({ operation, key }) => (operation === 'CreateMultipartUpload' ? [key] : []))
  for (let tries = 1; ; tries += 1) {
    const leftovers = await findLeftovers(world, world.bucket, [...new Set(keys)])
    if (leftovers.length === 0 || tries === 40) return leftovers
    // An aborted upload wakes the background job.
    const uploads = world.client(UploadService)
    const { result } = await uploads.startUpload({ digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 1n })
    if (result.case === 'upload') await uploads.abortUpload({ uploadId: result.value.id })
    await sleep(1_000)
  }
}
