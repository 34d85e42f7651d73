// The command artifact gc collects garbage.
import { GarbageKind, GarbageSchema, type Garbage } from '#gen/modelkeep/artifact/v1/maintenance_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import type { Context } from '../../context.ts'
import { bytes, jsonOf, shortDigest, table } from '../../terminal/output.ts'

/** The texts for what was done, and for what a dry run would do. */
const WORDS: Record<GarbageKind, [string, string]> = {
  [GarbageKind.UNSPECIFIED]: ['', ''],
  [GarbageKind.MANIFEST]: ['removed manifest', 'manifest to remove'],
  [GarbageKind.CONDEMNED]: ['condemned', 'to condemn'],
  [GarbageKind.BLOB]: ['removed', 'to remove'],
  [GarbageKind.OBJECT]: ['removed unknown object', 'unknown object to remove'],
  [GarbageKind.UNFINISHED]: ['discarded unfinished object', 'unfinished object to discard'],
}
const SHOWN = 50

export async function collectGarbage(
  context: Context,
  { dryRun = false, namespace = '' }: { dryRun?: boolean; namespace?: string },
): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const all: Garbage[] = []
  const { signal } = registry
  for await (const { garbage } of registry
    .artifact(MaintenanceService)
    .collectGarbage({ namespace, dryRun }, { signal })) {
    for (const each of garbage) all.push(each)
  }
  if (output.json) return output.document({ dryRun, garbage: all.map((each) => jsonOf(GarbageSchema, each)) })
  if (all.length === 0) return output.write('no garbage')
  const word = ({ kind }: Garbage): string => WORDS[kind]![dryRun ? 1 : 0]
  const rows = all
    .slice(0, SHOWN)
    .map((each) => [word(each), each.namespace, shortDigest(each.name), bytes(each.sizeBytes)])
  output.write(table(['WHAT', 'NAMESPACE', 'NAME', 'SIZE'], rows))
  if (all.length > SHOWN) output.write(`… and ${all.length - SHOWN} more`)
  for (const line of sums(all, word)) output.write(line)
  if (all.some(({ kind }) => kind === GarbageKind.CONDEMNED)) {
    context.note('Condemned blobs are removed after their grace period unless they are used again.')
  }
}

function sums(all: Garbage[], word: (garbage: Garbage) => string): string[] {
  const totals = new Map<string, { count: number; size: bigint }>()
  for (const each of all) {
    const { count, size } = totals.get(word(each)) ?? { count: 0, size: 0n }
    totals.set(word(each), { count: count + 1, size: size + each.sizeBytes })
  }
  return [...totals].map(([text, { count, size }]) => `${text}: ${count}, ${bytes(size)}`)
}
