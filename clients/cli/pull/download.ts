// One file of a pull: parts that are on disk and right are kept, the others are fetched in parallel, and the whole is
// hashed behind them.
import { forEach, type Slots } from '../transfer/pool.ts'
import { fetchPart, type PartJob } from './fetch-part.ts'
import { distrust } from './manifest.ts'
import { wholeFile } from './parts.ts'
import { Plan } from './plan.ts'
import { findPresent } from './present.ts'
import { WholeHash } from './whole-hash.ts'

/** Of one file; how many really come is decided by the slots that all files share. */
const AT_ONCE = 8
/** Up to here a file is one part to us, and the server is not asked how it divides it. */
const ONE_PART_BYTES = 16 * 1024 * 1024

export type Download = Omit<PartJob, 'plan'> & { slots: Slots }

/** How many bytes came over the line. */
export async function download(job: Download): Promise<number> {
  const { registry, namespace, file, handle, progress, slots } = job
  const plan = new Plan(registry, namespace, file)
  const present = Math.min((await handle.stat()).size, file.size)
  const isOne = file.size <= ONE_PART_BYTES && present === 0
  const parts = isOne ? wholeFile(file) : await plan.parts(job.lanes)
  const begun = await findPresent(handle, parts, present, registry.signal)
  const kept = [...begun.values()].reduce((sum, { done }) => sum + done, 0)
  progress.begin(file.path, file.size, kept)
  const whole = parts.length > 1 ? new WholeHash(handle) : undefined
  let received = 0
  await forEach(parts, AT_ONCE, registry.signal, async (part, signal) => {
    const begin = begun.get(part)
    if (begin?.done !== part.size) {
      const work = { ...job, plan, registry: { ...registry, signal } }
      const count = await slots.run(signal, () => fetchPart(work, part, begin))
      received += count
    }
    whole?.arrived(part)
  })
  await handle.truncate(file.size)
  if (whole && (await whole.digest()) !== file.digest) {
    await handle.truncate(0)
    distrust(`"${file.path}" does not have digest ${file.digest}`)
  }
  await handle.sync()
  progress.end(file.path)
  return received
}
