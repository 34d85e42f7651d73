// pull: resolve, check the manifest, fetch and verify beside the target, then one rename.
import { dirname } from 'node:path'
import { statfs } from 'node:fs/promises'
import { VersionSchema, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { Complaint } from '../complaint.ts'
import type { Context } from '../context.ts'
import { bytes, facts, jsonOf, versionName } from '../output.ts'
import { forEach } from '../pool.ts'
import { openProgress } from '../progress.ts'
import { download } from '../pull/download.ts'
import { distrust, fetchManifest, type RemoteFile } from '../pull/manifest.ts'
import { lockPartial, openBelow, openPartial, placesFor, settlePartial, type Places } from '../pull/partial.ts'
import { lookAt, putInPlace, refuseOther } from '../pull/place.ts'
import { resolveRef } from './resolve.ts'

const AT_ONCE = 4

export async function pull(
  context: Context,
  text: string,
  directory: string,
  options: { force?: boolean },
): Promise<void> {
  const version = await resolveRef(context, text)
  refuseSwapped(text, version)
  const files = await fetchManifest(context.registry(), version)
  const places = placesFor(directory, version.digest)
  const standing = await lookAt(places.target, files)
  if (standing === 'same') return report(context, { version, places, receivedBytes: 0, changed: false })
  if (standing === 'other' && !options.force) refuseOther(places.target)
  await using _lock = await lockPartial(places)
  await openPartial(places)
  const receivedBytes = await fetchAll(context, version, files, places)
  await settlePartial(
    places.partial,
    files.map(({ path }) => path),
  )
  context.signal.throwIfAborted()
  await putInPlace(places, standing === 'other')
  report(context, { version, places, receivedBytes, changed: true })
}

/** Asked for by digest, a version must have it. */
function refuseSwapped(text: string, { digest }: Version): void {
  const asked = /@(sha256:[0-9a-f]{64})$/.exec(text)?.[1]
  if (asked && asked !== digest) distrust(`the server answers with ${digest} when asked for ${asked}`)
}

async function fetchAll(context: Context, version: Version, files: RemoteFile[], places: Places): Promise<number> {
  const total = files.reduce((sum, { size }) => sum + size, 0)
  await refuseFullDisk(places, total)
  const registry = context.registry()
  const progress = await openProgress('fetching', total, context.output.json)
  let received = 0
  try {
    await forEach(files, AT_ONCE, context.signal, async (file, signal) => {
      await using handle = await openBelow(places.partial, file.path)
      const job = { namespace: version.namespace, file, handle, progress }
      const count = await download({ ...registry, signal }, job)
      received += count
    })
  } finally {
    progress.close()
  }
  return received
}

async function refuseFullDisk({ partial }: Places, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(partial))
  // What an earlier pull left counts twice here: only the hopeless is refused.
  if (bavail * bsize >= needed / 2 || needed < 2 ** 30) return
  throw new Complaint('failed', `the disk has ${bytes(bavail * bsize)} left, the version has ${bytes(needed)}`)
}

interface Pulled {
  version: Version
  places: Places
  receivedBytes: number
  changed: boolean
}

function report({ output }: Context, { version, places, receivedBytes, changed }: Pulled): void {
  const { target } = places
  if (output.json) {
    return output.document({ version: jsonOf(VersionSchema, version), directory: target, receivedBytes, changed })
  }
  output.write(
    changed ? `pulled ${versionName(version)} to ${target}` : `${target} holds ${versionName(version)} already`,
  )
  output.write(
    facts([
      ['id', version.id],
      ['digest', `${version.digest}, verified`],
      ['files', `${version.fileCount}, ${bytes(version.sizeBytes)}`],
      ['received', changed ? bytes(receivedBytes) : ''],
    ]),
  )
}
