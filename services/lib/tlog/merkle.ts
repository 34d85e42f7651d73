// The Merkle tree of RFC 6962 and 9162: hashes, appending, and the nodes of proofs. Pure; services and clients share it.
import { sha256, sha256Base64 } from './sha256.ts'

export const HASH_BYTES = 32
/** The root of the empty tree. */
export const EMPTY_ROOT: Buffer = sha256(new Uint8Array())

const LEAF = 0
const NODE = 1
/** Scratch memory for the hash input, which saves an allocation per hash. */
const leafBytes = Buffer.alloc(64 * 1024, LEAF)
const nodeBytes = Buffer.alloc(1 + 2 * HASH_BYTES, NODE)

export function hashLeaf(leaf: string | Uint8Array): Buffer {
  return sha256(markLeaf(typeof leaf === 'string' ? Buffer.from(leaf) : leaf))
}

/** Like `hashLeaf`, in base64. */
export function hashLeafBase64(leaf: Uint8Array): string {
  return sha256Base64(markLeaf(leaf))
}

/** Prefixes the leaf. The result is valid until the next call. */
function markLeaf(leaf: Uint8Array): Uint8Array {
  if (leaf.length >= leafBytes.length) return Buffer.concat([Buffer.of(LEAF), leaf])
  leafBytes.set(leaf, 1)
  return leafBytes.subarray(0, 1 + leaf.length)
}

export function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) {
    return sha256(Buffer.concat([Buffer.of(NODE), left, right]))
  }
  nodeBytes.set(left, 1)
  nodeBytes.set(right, 1 + HASH_BYTES)
  return sha256(nodeBytes)
}

/** A complete subtree: `2 ** level` leaves, the first of them at `index * 2 ** level`. */
export interface Node {
  level: number
  index: number
}

/** The state that appending needs: the hashes of the complete subtrees that make up the tree, largest first. */
export interface Range {
  size: number
  peaks: Buffer[]
}

/** Appends a leaf, in place. Calls `onNode` for each subtree that this completes, the leaf itself first. */
export function appendLeaf(range: Range, leafHash: Buffer, onNode?: (node: Node, hash: Buffer) => void): void {
  let level = 0
  let index = range.size
  let peak = leafHash
  onNode?.({ level, index }, peak)
  while (index % 2 === 1) {
    peak = hashNode(range.peaks.pop()!, peak)
    level += 1
    index = (index - 1) / 2
    onNode?.({ level, index }, peak)
  }
  range.peaks.push(peak)
  range.size += 1
}

export function rootOf(range: Range): Buffer {
  return range.peaks.length === 0 ? EMPTY_ROOT : foldPeaks(range.peaks)
}

/** Returns the hash over adjacent complete subtrees, each smaller than the one before. */
export function foldPeaks(peaks: Buffer[]): Buffer {
  return peaks.reduceRight((right, left) => hashNode(left, right))
}

/** Returns the complete subtrees that make up the leaves from `begin` to before `end`, largest first. `begin` must be a
 * multiple of the largest one's size, as it always is within a tree. */
export function peaksOf(begin: number, end: number): Node[] {
  const peaks: Node[] = []
  for (let at = begin; at < end;) {
    let level = 0
    let width = 1
    while (width * 2 <= end - at) {
      width *= 2
      level += 1
    }
    peaks.push({ level, index: at / width })
    at += width
  }
  return peaks
}

/** Returns the parts of an inclusion proof, from the leaf up, each as its peaks: the proof consists of the hash of each
 * part. `index` must be below `size`. */
export function inclusionParts(index: number, size: number): Node[][] {
  const parts: Node[][] = []
  let begin = 0
  let end = size
  while (end - begin > 1) {
    const middle = begin + largestPowerBelow(end - begin)
    const isLeft = index < middle
    parts.push(isLeft ? peaksOf(middle, end) : peaksOf(begin, middle))
    if (isLeft) end = middle
    else begin = middle
  }
  return parts.toReversed()
}

/** Returns the parts of a consistency proof between the trees of `oldSize` and `size` leaves. `oldSize` must be from 1 to
 * `size`. */
export function consistencyParts(oldSize: number, size: number): Node[][] {
  const parts: Node[][] = []
  let begin = 0
  let end = size
  while (oldSize < end) {
    const middle = begin + largestPowerBelow(end - begin)
    const isLeft = oldSize <= middle
    parts.push(isLeft ? peaksOf(middle, end) : peaksOf(begin, middle))
    if (isLeft) end = middle
    else begin = middle
  }
  // If the old tree is a subtree of the new one, its root is not part of the proof: the verifier has it.
  if (begin > 0) parts.push(peaksOf(begin, end))
  return parts.toReversed()
}

/** Returns the largest power of two below `size`. `size` must be over 1. */
function largestPowerBelow(size: number): number {
  let power = 1
  while (power * 2 < size) power *= 2
  return power
}
