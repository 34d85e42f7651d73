// One file of a pull: parts that are on disk and right are kept, the others are fetched in parallel, and the whole is
// hashed behind them.
import { forEach, type Slots } from '../pool.ts'
import { fetchPart, nothingBegun, type Begun, type PartJob } from './fetch-part.ts'
import { distrust } from './manifest.ts'
import { wholeFile, type FilePart } from './parts.ts'
import { Plan } from './plan.ts'
import { WholeHash } from './whole-hash.ts'

const READ_BYTES = 1024 * 1024
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
  const { right, begun } = await findPresent(job, parts, present)
  const kept = [...right].reduce((sum, { size }) => sum + size, begun?.done ?? 0)
  progress.begin(file.path, file.size, kept)
  const whole = parts.length > 1 ? new WholeHash(handle) : undefined
  let received = 0
  await forEach(parts, AT_ONCE, registry.signal, async (part, signal) => {
    if (!right.has(part)) {
      const count = await slots.run(signal, () => {
        const begin = begun?.part === part ? begun : undefined
        return fetchPart({ ...job, plan, registry: { ...registry, signal } }, part, begin)
      })
      received += count
    }
    whole?.arrived(part)
  })
  await handle.truncate(file.size)
  if (whole && (await whole.digest()) !== file.digest) {
    await handle.truncate(0)
    distrust(`«${file.path}» does not have the digest ${file.digest}`)
  }
  await handle.sync()
  progress.end(file.path)
  return received
}

interface Present {
  right: Set<FilePart>
  /** The part in which the file ends; bytes of it may be right. */
  begun?: Begun & { part: FilePart }
}

/** Reads what an earlier pull wrote. */
async function findPresent({ registry, handle }: Download, parts: FilePart[], present: number): Promise<Present> {
  const found: Present = { right: new Set() }
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  for (const part of parts) {
    const there = Math.min(part.size, present - part.offset)
    if (there <= 0) break
    const begun = nothingBegun()
    while (begun.done < there) {
      registry.signal.throwIfAborted()
      const wanted = Math.min(READ_BYTES, there - begun.done)
      const { bytesRead } = await handle.read(buffer, 0, wanted, part.offset + begun.done)
      if (bytesRead === 0) break
      begun.hash.update(buffer.subarray(0, bytesRead))
      begun.done += bytesRead
    }
    if (begun.done < part.size) found.begun = { ...begun, part }
    else if (begun.hash.digest().equals(part.sha256)) found.right.add(part)
  }
  return found
}
