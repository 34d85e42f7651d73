// The Merkle tree of RFC 6962 (and 9162): hashes, appending, and which nodes prove what. Pure; services and clients
// share it.
import { sha256, sha256Base64 } from './sha256.ts'

export const HASH_BYTES = 32
/** The root of a tree without leaves. */
export const EMPTY_ROOT: Buffer = sha256(new Uint8Array())

const LEAF = 0
const NODE = 1
/** What is hashed is put together here: for a hundred thousand leaves a second, memory of their own is too much. */
const leafBytes = Buffer.alloc(64 * 1024, LEAF)
const nodeBytes = Buffer.alloc(1 + 2 * HASH_BYTES, NODE)

export function hashLeaf(leaf: string | Uint8Array): Buffer {
  return sha256(markLeaf(typeof leaf === 'string' ? Buffer.from(leaf) : leaf))
}

/** The same in base64. */
export function hashLeafBase64(leaf: Uint8Array): string {
  return sha256Base64(markLeaf(leaf))
}

/** Good until the next. */
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

/** A complete subtree: the leaves from `index * 2 ** level`, `2 ** level` of them. */
export interface Node {
  level: number
  index: number
}

/** A tree as far as appending needs it: the hashes of the complete subtrees that make it up, the largest first. */
export interface Range {
  size: number
  peaks: Buffer[]
}

/** Adds a leaf, in place. `onNode` is told every complete subtree that this makes, the leaf itself first. */
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

/** The hash over neighbouring complete subtrees, each smaller than the one before. */
export function foldPeaks(peaks: Buffer[]): Buffer {
  return peaks.reduceRight((right, left) => hashNode(left, right))
}

/** The complete subtrees that make up the tree of the leaves from `begin` to below `end`, the largest first. `begin` is
 * a multiple of the largest one's size, as it always is within a tree. */
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

/** What an inclusion proof is made of, from the leaf up: the hash of each part is one of the proof. A part is given by
 * its peaks. `index` is below `size`. */
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

/** The same for a consistency proof, that the tree of `size` leaves continues the one of `oldSize`, which is from 1 to
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
  // The old tree's root is known to whoever checks, where it is a subtree of the new one.
  if (begin > 0) parts.push(peaksOf(begin, end))
  return parts.toReversed()
}

/** The largest power of two below `size`, which is over 1. */
function largestPowerBelow(size: number): number {
  let power = 1
  while (power * 2 < size) power *= 2
  return power
}
