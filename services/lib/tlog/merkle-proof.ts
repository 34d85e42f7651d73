// Verification of proofs by RFC 9162, 2.1.3.2 and 2.1.4.2. Sizes are bigint because proofs are untrusted input.
import { HASH_BYTES, hashNode } from './merkle.ts'

export interface InclusionClaim {
  index: bigint
  size: bigint
  leafHash: Uint8Array
  root: Uint8Array
  proof: Uint8Array[]
}

export function verifyInclusion({ index, size, leafHash, root, proof }: InclusionClaim): boolean {
  if (index < 0n || index >= size || ![leafHash, root, ...proof].every(isHash)) return false
  let node = index
  let last = size - 1n
  let hash = leafHash
  for (const sibling of proof) {
    if (last === 0n) return false
    if (isOdd(node) || node === last) {
      hash = hashNode(sibling, hash)
      while (!isOdd(node) && node !== 0n) {
        node >>= 1n
        last >>= 1n
      }
    } else hash = hashNode(hash, sibling)
    node >>= 1n
    last >>= 1n
  }
  return last === 0n && isSame(hash, root)
}

export interface ConsistencyClaim {
  oldSize: bigint
  newSize: bigint
  oldRoot: Uint8Array
  newRoot: Uint8Array
  proof: Uint8Array[]
}

/** Rejects an empty old tree: every tree is consistent with it, so the claim would prove nothing. */
export function verifyConsistency({ oldSize, newSize, oldRoot, newRoot, proof }: ConsistencyClaim): boolean {
  if (oldSize < 1n || oldSize > newSize) return false
  if (oldSize === newSize) return proof.length === 0 && isSame(oldRoot, newRoot)
  if (![oldRoot, newRoot, ...proof].every(isHash)) return false
  const isWhole = (oldSize & (oldSize - 1n)) === 0n
  const [first, ...path] = isWhole ? [oldRoot, ...proof] : proof
  if (!first || path.length === 0) return false
  let node = oldSize - 1n
  let last = newSize - 1n
  while (isOdd(node)) {
    node >>= 1n
    last >>= 1n
  }
  let [oldHash, newHash] = [first, first]
  for (const sibling of path) {
    if (last === 0n) return false
    if (isOdd(node) || node === last) {
      oldHash = hashNode(sibling, oldHash)
      newHash = hashNode(sibling, newHash)
      while (!isOdd(node) && node !== 0n) {
        node >>= 1n
        last >>= 1n
      }
    } else newHash = hashNode(newHash, sibling)
    node >>= 1n
    last >>= 1n
  }
  return last === 0n && isSame(oldHash, oldRoot) && isSame(newHash, newRoot)
}

function isOdd(number: bigint): boolean {
  return (number & 1n) === 1n
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === HASH_BYTES
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0
}
