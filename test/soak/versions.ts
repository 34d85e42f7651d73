// The versions of a soak: they hold manifests, and those hold blobs, until they are given up. What nothing holds goes when
// its time is over.
import { ConnectError } from '@connectrpc/connect'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { reasonOf } from '../../services/lib/errors/read-error.ts'
import { passTime } from '../support/garbage.ts'
import { push, type KnownBlob } from './blobs.ts'
import type { World } from './world.ts'

export interface KnownVersion {
  id: string
  digest: string
  blobs: KnownBlob[]
}

/** One go at a version of the blobs, which are pushed again where they went meanwhile. */
export async function hold(world: World, blobs: KnownBlob[], id: string): Promise<KnownVersion> {
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

/** From the first attempt on nothing is promised any more. */
export function letGo({ blobs }: KnownVersion): void {
  for (const blob of blobs) {
    blob.holds -= 1
    if (blob.holds === 0) breakPromise(blob)
  }
}

export async function release(world: World, version: KnownVersion): Promise<void> {
  await world.metadata(ManifestService).releaseManifest(holdOf(version))
}

function holdOf({ id, digest }: KnownVersion) {
  return { namespace: 'default', digest, versionId: id }
}

export function breakPromise(blob: KnownBlob): void {
  blob.kept = false
  blob.broken += 1
}

/** More than a lease or the time of grace. */
const HOURS = 26

/** Lets all leases end, and makes everything due to be verified. */
export async function age(world: World, blobs: KnownBlob[]): Promise<void> {
  // Whoever is told before that something is there is told so of a lease that is over.
  world.age += 1
  for (const blob of blobs) if (blob.holds === 0) breakPromise(blob)
  try {
    await passTime(world.databaseUrl, HOURS)
    await world.sql(`update artifact.blob set verify_time = verify_time - interval '31 days'`)
  } finally {
    world.age += 1
  }
}

/** Returns how much went. */
export async function collect(world: World): Promise<number> {
  let count = 0
  for await (const { garbage } of world.client(MaintenanceService).collectGarbage({})) count += garbage.length
  return count
}
