// Garbage in tests: time that passes at once, and what was collected.
import { GarbageKind, type Garbage } from '#gen/modelkeep/artifact/v1/maintenance_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import type { Replica, TestArtifact } from './artifact.ts'
import { runSql } from './database.ts'

const KINDS = Object.fromEntries(Object.entries(GarbageKind).map(([word, kind]) => [kind, word]))
const TIMES = [
  ['namespace_blob', 'lease_time'],
  ['namespace_blob', 'condemn_time'],
  ['manifest', 'lease_time'],
]

/** As if so much time had passed for everything that is there. */
export async function passTime(databaseUrl: string, hours: number): Promise<void> {
  for (const [table, column] of TIMES) {
    await runSql(
      databaseUrl,
      `with unwatched as (select set_config('session_replication_role', 'replica', true))
        update artifact.${table} set ${column} = ${column} - interval '${hours} hours' from unwatched`,
    )
  }
}

/** By the one who administers everything. */
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

/** Kind and name of each. */
export function told(garbage: Garbage[]): [string, string][] {
  return garbage.map(({ kind, name }) => [KINDS[kind]!, name])
}

/** All that nobody holds is gone after it. */
export async function collectEverything(artifact: TestArtifact): Promise<void> {
  do await passTime(artifact.database.url, 100)
  while ((await collectGarbage(artifact)).length > 0)
}
