// Downloads one file of a pull: reuses verified parts on disk, fetches the others concurrently, and hashes the whole file.
import { forEach, type Semaphore } from '../transfer/concurrency.ts'
import { fetchPart, type PartJob } from './fetch-part.ts'
import { failIntegrity } from './manifest.ts'
import { wholeFile } from './parts.ts'
import { DownloadPlan } from './download-plan.ts'
import { findStoredParts } from './stored-parts.ts'
import { WholeHash } from './whole-hash.ts'

/** Maximum number of parts of one file in flight; the shared semaphore may allow fewer. */
const AT_ONCE = 8
/** Up to this size a file is downloaded as one part, without a request for its parts. */
const ONE_PART_BYTES = 16 * 1024 * 1024

export type Download = Omit<PartJob, 'plan'> & { slots: Semaphore }

/** Returns the number of bytes that were downloaded. */
export async function download(job: Download): Promise<number> {
  const { registry, namespace, file, handle, progress, slots } = job
  const plan = new DownloadPlan(registry, namespace, file)
  const present = Math.min((await handle.stat()).size, file.size)
  const isOne = file.size <= ONE_PART_BYTES && present === 0
  const parts = isOne ? wholeFile(file) : await plan.parts(job.modes)
  const stored = await findStoredParts(handle, parts, present, registry.signal)
  const storedBytes = [...stored.values()].reduce((sum, { done }) => sum + done, 0)
  progress.begin(file.path, file.size, storedBytes)
  const whole = parts.length > 1 ? new WholeHash(handle) : undefined
  let received = 0
  await forEach(parts, AT_ONCE, registry.signal, async (part, signal) => {
    const start = stored.get(part)
    if (start?.done !== part.size) {
      const work = { ...job, plan, registry: { ...registry, signal } }
      const count = await slots.run(signal, () => fetchPart(work, part, start))
      received += count
    }
    whole?.add(part)
  })
  await handle.truncate(file.size)
  if (whole && (await whole.digest()) !== file.digest) {
    await handle.truncate(0)
    failIntegrity(`"${file.path}" does not have digest ${file.digest}`)
  }
  await handle.sync()
  progress.end(file.path)
  return received
}
