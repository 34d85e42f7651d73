// The command pull resolves the version, verifies its manifest, downloads and verifies files beside the target, and renames once.
import { dirname } from 'node:path'
import { statfs } from 'node:fs/promises'
import { VersionSchema, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import type { Cache } from '../../cache/cache.ts'
import { openCache, type CacheOptions } from '../../cache/settings.ts'
import { CliError } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import type { TransferMode } from '../../transfer/modes.ts'
import type { ModeSelector } from '../../transfer/mode-selector.ts'
import { openModeSelector } from '../../transfer/settings.ts'
import { bytes, facts, jsonOf, versionName } from '../../terminal/output.ts'
import { openProgress } from '../../terminal/progress.ts'
import { fetchFiles, type Fetched } from '../../pull/files.ts'
import { fetchManifest, type RemoteFile } from '../../pull/manifest.ts'
import { lockPartial, openPartial, targetPaths, finishPartial, type TargetPaths } from '../../pull/partial.ts'
import { inspectTarget, putInPlace, failOccupied } from '../../pull/target.ts'
import { environment } from '../../settings.ts'
import { resolveRef } from '../alias/resolve.ts'

interface PullOptions extends CacheOptions {
  force?: boolean
  lane: TransferMode
}

export async function pull(context: Context, text: string, directory: string, options: PullOptions): Promise<void> {
  const modes = openModeSelector(options.lane, environment(), context.registry().settings.addresses.artifact)
  const cache = await openCache(options, environment(), (warning) => context.note(warning))
  const version = await resolveRef(context, text)
  const files = await fetchManifest(context.registry(), version)
  const places = targetPaths(directory, version.digest)
  const state = await inspectTarget(places.target, files)
  if (state === 'same') return report(context, { version, places, ...NOTHING, changed: false })
  if (state === 'other' && !options.force) failOccupied(places.target)
  await using _lock = await lockPartial(places)
  await openPartial(places)
  const fetched = await fetchAll(context, { version, files, places, modes, cache })
  await finishPartial(
    places.partial,
    files.map(({ path }) => path),
  )
  context.signal.throwIfAborted()
  await putInPlace(places, state === 'other')
  await cache?.evict()
  report(context, { version, places, ...fetched, changed: true })
}

interface Job {
  version: Version
  files: RemoteFile[]
  places: TargetPaths
  modes: ModeSelector
  cache: Cache | undefined
}

async function fetchAll(context: Context, { version, files, places, modes, cache }: Job): Promise<Fetched> {
  const total = files.reduce((sum, { size }) => sum + size, 0)
  await requireDiskSpace(places, total)
  const progress = await openProgress('fetching', total, context.output.json)
  const { namespace } = version
  try {
    return await fetchFiles(
      { registry: context.registry(), namespace, root: places.partial, modes, cache, progress },
      files,
    )
  } finally {
    progress.close()
  }
}

async function requireDiskSpace({ partial }: TargetPaths, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(partial))
  // Files of an earlier pull count twice here, so only half of the size is required.
  if (bavail * bsize >= needed / 2 || needed < 2 ** 30) return
  throw new CliError('failed', `disk has ${bytes(bavail * bsize)} free, but the version needs ${bytes(needed)}`)
}

interface Pulled extends Fetched {
  version: Version
  places: TargetPaths
  changed: boolean
}

const NOTHING: Fetched = { receivedBytes: 0, cachedBytes: 0 }

function report({ output }: Context, { version, places, changed, ...fetched }: Pulled): void {
  const { target } = places
  if (output.json) {
    return output.document({ version: jsonOf(VersionSchema, version), directory: target, ...fetched, changed })
  }
  const cached = fetched.cachedBytes > 0 ? `, ${bytes(fetched.cachedBytes)} from the cache` : ''
  output.write(
    changed ? `pulled ${versionName(version)} to ${target}` : `${target} already holds ${versionName(version)}`,
  )
  output.write(
    facts([
      ['id', version.id],
      ['digest', `${version.digest}, verified`],
      ['files', `${version.fileCount}, ${bytes(version.sizeBytes)}`],
      ['received', changed ? `${bytes(fetched.receivedBytes)}${cached}` : ''],
    ]),
  )
}
