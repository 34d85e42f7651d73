// The versions of a soak. They retain manifests, which retain blobs, until they are released. What nothing retains is deleted
// after its lease and grace period.
import { ConnectError } from '@connectrpc/connect'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { reasonOf } from '../../services/lib/errors/read-error.ts'
import { ageLeases } from '../support/garbage.ts'
import { push, type KnownBlob } from './blobs.ts'
import type { World } from './world.ts'

export interface KnownVersion {
  id: string
  digest: string
  blobs: KnownBlob[]
}

/** Tries to create a version of the blobs, and pushes blobs again that were deleted meanwhile. */
export async function retain(world: World, blobs: KnownBlob[], id: string): Promise<KnownVersion> {
  const manifests = world.client(ManifestService)
  const files = blobs.map(({ name, digest, size }) => ({ path: name, digest, sizeBytes: BigInt(size) }))
  try {
    const { manifest } = await manifests.createManifest({ files })
    const version: KnownVersion = { id, digest: manifest!.digest, blobs }
    await world.metadata(ManifestService).retainManifest(holdOf(version))
    for (const blob of blobs) blob.holds += 1
    return version
  } catch (error) {
    if (reasonOf(ConnectError.from(error))?.reason === 'BLOB_MISSING') {
      for (const blob of blobs) await push(world, blob, false)
    }
    throw error
  }
}

/** The service guarantees nothing about the version after the first attempt to release it. */
export function markReleased({ blobs }: KnownVersion): void {
  for (const blob of blobs) {
    blob.holds -= 1
    if (blob.holds === 0) abandonGuarantee(blob)
  }
}

export async function release(world: World, version: KnownVersion): Promise<void> {
  await world.metadata(ManifestService).releaseManifest(holdOf(version))
}

function holdOf({ id, digest }: KnownVersion) {
  return { namespace: 'default', digest, versionId: id }
}

export function abandonGuarantee(blob: KnownBlob): void {
  blob.kept = false
  blob.broken += 1
}

/** The age step, longer than a lease and longer than the grace period. */
const HOURS = 26

/** Expires all leases, and makes the verification of all blobs due. */
export async function expireAll(world: World, blobs: KnownBlob[]): Promise<void> {
  // A response from before this point relies on a lease that has expired now.
  world.age += 1
  for (const blob of blobs) if (blob.holds === 0) abandonGuarantee(blob)
  try {
    await ageLeases(world.databaseUrl, HOURS)
    await world.sql(`update artifact.blob set verify_time = verify_time - interval '31 days'`)
  } finally {
    world.age += 1
  }
}

/** Returns the number of deleted blobs and manifests. */
export async function collect(world: World): Promise<number> {
  let count = 0
  for await (const { garbage } of world.client(MaintenanceService).collectGarbage({})) count += garbage.length
  return count
}
