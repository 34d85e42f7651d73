// Releases manifests in the artifact service, and retries until it succeeds.
import type { Client } from '@connectrpc/connect'
import type { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import type { Logger } from '#lib/process/log.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { repeat, type Background } from '#lib/process/background.ts'
import { claimReleases, finishRelease, postponeRelease, type Retention } from '../store/versions/manifest-release.ts'

const POLL_MS = 2_000
const BATCH = 20

export interface ReleaseDeps {
  database: Database
  manifests: Pick<Client<typeof ManifestService>, 'releaseManifest'>
  logger: Logger
}

/** Starts the job. Every replica may run it: a release is claimed by one replica at a time. */
export function startReleases(deps: ReleaseDeps): Background {
  return repeat('release of manifests', POLL_MS, () => releaseDue(deps), deps.logger)
}

async function releaseDue(deps: ReleaseDeps): Promise<void> {
  for (;;) {
    const due = await claimReleases(forkFor(deps.database), BATCH)
    const failures = (await Promise.all(due.map((retention) => release(deps, retention)))).filter(Boolean)
    if (failures.length > 0) throw failures[0]
    if (due.length < BATCH) return
  }
}

async function release({ database, manifests }: ReleaseDeps, retention: Retention): Promise<unknown> {
  const { versionId, namespace, digest } = retention
  try {
    await manifests.releaseManifest({ namespace, digest, versionId })
  } catch (error) {
    await postponeRelease(forkFor(database), versionId)
    return error
  }
  await finishRelease(forkFor(database), versionId)
  return undefined
}
