// Garbage collection in tests: moves leases into the past, and lists what was collected.
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { GarbageKind, type Garbage } from '#gen/modelkeep/artifact/v1/maintenance_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import type { Replica, TestArtifact } from './artifact.ts'
import { blobMessages, digestOf } from './bytes.ts'
import { runSql } from './database.ts'

const KINDS = Object.fromEntries(Object.entries(GarbageKind).map(([word, kind]) => [kind, word]))
const TIMES = [
  ['namespace_blob', 'lease_time'],
  ['namespace_blob', 'condemn_time'],
  ['manifest', 'lease_time'],
]

/** Moves the leases of all blobs and manifests into the past. */
export async function ageLeases(databaseUrl: string, hours: number): Promise<void> {
  for (const [table, column] of TIMES) {
    await runSql(
      databaseUrl,
      `with unwatched as (select set_config('session_replication_role', 'replica', true))
        update artifact.${table} set ${column} = ${column} - interval '${hours} hours' from unwatched`,
    )
  }
}

/** Collects garbage as the administrator of the installation. */
export async function collectGarbage(
  replica: Replica,
  options: { namespace?: string; dryRun?: boolean } = {},
): Promise<Garbage[]> {
  const all: Garbage[] = []
  for await (const { garbage } of replica.client(MaintenanceService, 'root').collectGarbage(options)) {
    all.push(...garbage)
  }
  return all
}

/** Kind and name of each collected item. */
export function kindsAndNames(garbage: Garbage[]): [string, string][] {
  return garbage.map(({ kind, name }) => [KINDS[kind]!, name])
}

/** Collects everything that no version retains, whatever its lease. */
export async function collectEverything(artifact: TestArtifact): Promise<void> {
  do await ageLeases(artifact.database.url, 100)
  while ((await collectGarbage(artifact)).length > 0)
}

/** The calls that tests of garbage collection repeat; alice makes them in the namespace default unless stated otherwise. */
export function garbageCalls(artifact: TestArtifact) {
  return {
    upload: async (bytes: Buffer, options: { namespace?: string; token?: string } = {}): Promise<string> => {
      const { namespace = 'default', token = 'alice' } = options
      await artifact.client(BlobService, token).uploadBlob(blobMessages(bytes, { namespace }))
      return digestOf(bytes)
    },
    /** Creates a manifest of the blobs, and returns its digest. */
    nameFiles: async (...all: Buffer[]): Promise<string> => {
      const files = all.map((bytes, index) => ({
        path: `${index}.bin`,
        digest: digestOf(bytes),
        sizeBytes: BigInt(bytes.length),
      }))
      return (await artifact.client(ManifestService).createManifest({ files })).manifest!.digest
    },
    collect: (options: { namespace?: string; dryRun?: boolean } = {}) => collectGarbage(artifact, options),
    age: (hours: number) => ageLeases(artifact.database.url, hours),
    /** Event types of a blob or manifest, in order. */
    eventsOf: async (digest: string): Promise<string[]> => {
      const rows = await artifact.sql<{ type: string }>(
        `select event ->> 'type' as type from artifact.outbox where resource_id = '${digest}' order by sequence`,
      )
      return rows.map(({ type }) => type)
    },
    isMissing: async (digest: string, token = 'alice'): Promise<boolean> => {
      const { missingDigests } = await artifact.client(BlobService, token).findMissingBlobs({ digests: [digest] })
      return missingDigests.length > 0
    },
  }
}
