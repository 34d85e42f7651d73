// pull: resolve, check the manifest, fetch and verify beside the target, then one rename.
import { dirname } from 'node:path'
import { statfs } from 'node:fs/promises'
import { VersionSchema, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import type { Cache } from '../../cache/cache.ts'
import { openCache, type CacheOptions } from '../../cache/settings.ts'
import { CliError } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import type { LaneChoice } from '../../transfer/choices.ts'
import type { Lanes } from '../../transfer/lanes.ts'
import { openLanes } from '../../transfer/settings.ts'
import { bytes, facts, jsonOf, versionName } from '../../terminal/output.ts'
import { openProgress } from '../../terminal/progress.ts'
import { fetchFiles, type Fetched } from '../../pull/files.ts'
import { fetchManifest, type RemoteFile } from '../../pull/manifest.ts'
import { lockPartial, openPartial, placesFor, settlePartial, type Places } from '../../pull/partial.ts'
import { lookAt, putInPlace, refuseOther } from '../../pull/place.ts'
import { environment } from '../../settings.ts'
import { resolveRef } from '../alias/resolve.ts'

interface PullOptions extends CacheOptions {
  force?: boolean
  lane: LaneChoice
}

export async function pull(context: Context, text: string, directory: string, options: PullOptions): Promise<void> {
  const lanes = openLanes(options.lane, environment(), context.registry().settings.addresses.artifact)
  const cache = await openCache(options, environment(), (text) => context.note(text))
  const version = await resolveRef(context, text)
  const files = await fetchManifest(context.registry(), version)
  const places = placesFor(directory, version.digest)
  const standing = await lookAt(places.target, files)
  if (standing === 'same') return report(context, { version, places, ...NOTHING, changed: false })
  if (standing === 'other' && !options.force) refuseOther(places.target)
  await using _lock = await lockPartial(places)
  await openPartial(places)
  const fetched = await fetchAll(context, { version, files, places, lanes, cache })
  await settlePartial(
    places.partial,
    files.map(({ path }) => path),
  )
  context.signal.throwIfAborted()
  await putInPlace(places, standing === 'other')
  await cache?.trim()
  report(context, { version, places, ...fetched, changed: true })
}

interface Job {
  version: Version
  files: RemoteFile[]
  places: Places
  lanes: Lanes
  cache: Cache | undefined
}

async function fetchAll(context: Context, { version, files, places, lanes, cache }: Job): Promise<Fetched> {
  const total = files.reduce((sum, { size }) => sum + size, 0)
  await refuseFullDisk(places, total)
  const progress = await openProgress('fetching', total, context.output.json)
  const { namespace } = version
  try {
    return await fetchFiles(
      { registry: context.registry(), namespace, root: places.partial, lanes, cache, progress },
      files,
    )
  } finally {
    progress.close()
  }
}

async function refuseFullDisk({ partial }: Places, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(partial))
  // What an earlier pull left counts twice here: only the hopeless is refused.
  if (bavail * bsize >= needed / 2 || needed < 2 ** 30) return
  throw new CliError('failed', `disk has ${bytes(bavail * bsize)} free, but the version needs ${bytes(needed)}`)
}

interface Pulled extends Fetched {
  version: Version
  places: Places
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
