// Proof files: c2sp.org/tlog-proof. Pure; services and clients share it.
import { HASH_BYTES } from './merkle.ts'
import { decodeBase64 } from './note.ts'

export interface TlogProof {
  index: bigint
  /** The inclusion proof, starting with the leaf's sibling. */
  hashes: Buffer[]
  /** The signed checkpoint, as published. */
  checkpoint: string
}

export const PROOF_HEADER = 'c2sp.org/tlog-proof@v1'

export function formatProof({ index, hashes, checkpoint }: TlogProof): string {
  const lines = [PROOF_HEADER, `index ${index}`, ...hashes.map((hash) => hash.toString('base64'))]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** Returns undefined if the text is not a proof file. Ignores extra data, which no signature covers. */
export function findProof(text: string): TlogProof | undefined {
  const end = text.indexOf('\n\n')
  if (end === -1) return undefined
  const [header, ...lines] = text.slice(0, end).split('\n')
  if (lines[0]?.startsWith('extra ')) lines.shift()
  const index = /^index (0|[1-9][0-9]{0,18})$/.exec(lines.shift() ?? '')?.[1]
  const hashes = lines.map((line) => decodeBase64(line))
  if (header !== PROOF_HEADER || index === undefined || !hashes.every((hash) => hash?.length === HASH_BYTES)) {
    return undefined
  }
  return { index: BigInt(index), hashes: hashes as Buffer[], checkpoint: text.slice(end + 2) }
}
