// The file format of a consistency proof with its checkpoint, as in the requests of c2sp.org/tlog-witness.
import { HASH_BYTES } from '#lib/tlog/merkle.ts'
import { decodeBase64 } from '#lib/tlog/note.ts'

export interface ConsistencyFile {
  oldSize: bigint
  hashes: Buffer[]
  /** The signed note of the newer checkpoint. */
  checkpoint: string
}

export function formatConsistency({ oldSize, hashes, checkpoint }: ConsistencyFile): string {
  const lines = [`old ${oldSize}`, ...hashes.map((hash) => hash.toString('base64'))]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** Returns undefined if the text has another format. */
export function findConsistency(text: string): ConsistencyFile | undefined {
  const end = text.indexOf('\n\n')
  if (end === -1) return undefined
  const [head = '', ...lines] = text.slice(0, end).split('\n')
  const oldSize = /^old (0|[1-9][0-9]{0,18})$/.exec(head)?.[1]
  const hashes = lines.map((line) => decodeBase64(line))
  if (oldSize === undefined || !hashes.every((hash) => hash?.length === HASH_BYTES)) return undefined
  return { oldSize: BigInt(oldSize), hashes: hashes as Buffer[], checkpoint: text.slice(end + 2) }
}
