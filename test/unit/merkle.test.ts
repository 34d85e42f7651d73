// The Merkle tree against a naive recursive one, and against the published vectors.
import * as fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  appendLeaf,
  consistencyParts,
  EMPTY_ROOT,
  foldPeaks,
  hashLeaf,
  hashNode,
  inclusionParts,
  peaksOf,
  rootOf,
  type Node,
  type Range,
} from '../../services/lib/tlog/merkle.ts'
import { verifyConsistency, verifyInclusion } from '../../services/lib/tlog/merkle-proof.ts'

/** The tree hash of RFC 6962, 2.1. */
function naiveRoot(leaves: Buffer[]): Buffer {
  if (leaves.length === 0) return EMPTY_ROOT
  if (leaves.length === 1) return leaves[0]!
  const middle = split(leaves.length)
  return hashNode(naiveRoot(leaves.slice(0, middle)), naiveRoot(leaves.slice(middle)))
}

/** The audit path of RFC 6962, 2.1.1. */
function naivePath(index: number, leaves: Buffer[]): Buffer[] {
  if (leaves.length === 1) return []
  const middle = split(leaves.length)
  const [left, right] = [leaves.slice(0, middle), leaves.slice(middle)]
  if (index < middle) return [...naivePath(index, left), naiveRoot(right)]
  return [...naivePath(index - middle, right), naiveRoot(left)]
}

/** The consistency proof of RFC 6962, 2.1.2. */
function naiveProof(size: number, leaves: Buffer[], isKnown = true): Buffer[] {
  if (size === leaves.length) return isKnown ? [] : [naiveRoot(leaves)]
  const middle = split(leaves.length)
  const [left, right] = [leaves.slice(0, middle), leaves.slice(middle)]
  if (size <= middle) return [...naiveProof(size, left, isKnown), naiveRoot(right)]
  return [...naiveProof(size - middle, right, false), naiveRoot(left)]
}

function split(size: number): number {
  return 2 ** Math.floor(Math.log2(size - 1))
}

function makeLeaves(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => hashLeaf(`leaf ${index}`))
}

/** Appends all leaves, and returns the range and every complete subtree. */
function grow(leaves: Buffer[]) {
  const range: Range = { size: 0, peaks: [] }
  const nodes = new Map<string, Buffer>()
  const roots = [rootOf(range)]
  for (const leaf of leaves) {
    appendLeaf(range, leaf, ({ level, index }, hash) => nodes.set(`${level}/${index}`, hash))
    roots.push(rootOf(range))
  }
  const hashPart = (part: Node[]) => foldPeaks(part.map(({ level, index }) => nodes.get(`${level}/${index}`)!))
  return { range, roots, hashPart }
}

const hex = (hashes: Buffer[]) => hashes.map((hash) => hash.toString('hex'))

test('computes the root, peaks and proofs of a naive tree for every size up to 300', () => {
  const leaves = makeLeaves(300)
  const { roots, hashPart } = grow(leaves)
  for (let size = 1; size <= leaves.length; size += 1) {
    const tree = leaves.slice(0, size)
    const root = naiveRoot(tree)
    expect(roots[size]!.equals(root)).toBe(true)
    expect(hashPart(peaksOf(0, size)).equals(root)).toBe(true)
    for (const index of new Set([0, size - 1, size >> 1])) {
      const proof = inclusionParts(index, size).map(hashPart)
      expect(hex(proof)).toEqual(hex(naivePath(index, tree)))
      const claim = { index: BigInt(index), size: BigInt(size), leafHash: leaves[index]!, root, proof }
      expect(verifyInclusion(claim)).toBe(true)
    }
    for (const oldSize of new Set([1, size, size - 1 || 1, split(Math.max(2, size))])) {
      const proof = consistencyParts(oldSize, size).map(hashPart)
      expect(hex(proof)).toEqual(hex(naiveProof(oldSize, tree)))
      const sizes = { oldSize: BigInt(oldSize), newSize: BigInt(size) }
      expect(verifyConsistency({ ...sizes, oldRoot: roots[oldSize]!, newRoot: root, proof })).toBe(true)
    }
  }
})

const LARGE = makeLeaves(5_000)
const large = grow(LARGE)

test('proves random leaves of larger trees, and accepts a proof only for its own leaf, index, size and root', () => {
  const cases = fc
    .integer({ min: 2, max: LARGE.length })
    .chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1), fc.nat(size - 1), fc.nat(255), fc.nat(30)))
  const property = fc.property(cases, ([size, index, other, bit, at]) => {
    const proof = inclusionParts(index, size).map(large.hashPart)
    const claim = {
      index: BigInt(index),
      size: BigInt(size),
      leafHash: LARGE[index]!,
      root: large.roots[size]!,
      proof,
    }
    expect(verifyInclusion(claim)).toBe(true)
    expect(verifyInclusion({ ...claim, leafHash: LARGE[other]! })).toBe(other === index)
    expect(verifyInclusion({ ...claim, root: large.roots[other]! })).toBe(false)
    expect(verifyInclusion({ ...claim, proof: [...proof, proof[0]!] })).toBe(false)
    expect(verifyInclusion({ ...claim, proof: proof.slice(0, -1) })).toBe(false)
    const flipped = proof.with(at % proof.length, flip(proof[at % proof.length]!, bit))
    expect(verifyInclusion({ ...claim, proof: flipped })).toBe(false)
  })
  fc.assert(property, { numRuns: 300 })
})

test('proves the consistency of random pairs of larger trees, and of no others', () => {
  const cases = fc
    .integer({ min: 2, max: LARGE.length })
    .chain((size) => fc.tuple(fc.constant(size), fc.integer({ min: 1, max: size - 1 }), fc.nat(255), fc.nat(30)))
  const property = fc.property(cases, ([size, oldSize, bit, at]) => {
    const proof = consistencyParts(oldSize, size).map(large.hashPart)
    const claim = {
      oldSize: BigInt(oldSize),
      newSize: BigInt(size),
      oldRoot: large.roots[oldSize]!,
      newRoot: large.roots[size]!,
      proof,
    }
    expect(verifyConsistency(claim)).toBe(true)
    expect(verifyConsistency({ ...claim, oldRoot: flip(claim.oldRoot, bit) })).toBe(false)
    expect(verifyConsistency({ ...claim, newRoot: flip(claim.newRoot, bit) })).toBe(false)
    expect(verifyConsistency({ ...claim, proof: [...proof, proof[0]!] })).toBe(false)
    expect(verifyConsistency({ ...claim, proof: proof.slice(0, -1) })).toBe(false)
    const flipped = proof.with(at % proof.length, flip(proof[at % proof.length]!, bit))
    expect(verifyConsistency({ ...claim, proof: flipped })).toBe(false)
  })
  fc.assert(property, { numRuns: 300 })
})

function flip(hash: Buffer, bit: number): Buffer {
  const copy = Buffer.from(hash)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}

test('computes the published hashes', () => {
  expect(hashLeaf('').toString('hex')).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
  expect(EMPTY_ROOT.toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  expect(hashLeaf('L123456').toString('hex')).toBe('395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56')
  expect(hashNode(Buffer.from('N123'), Buffer.from('N456')).toString('hex')).toBe(
    'aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb',
  )
  const eight = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
  const { range } = grow(eight.map((leaf) => hashLeaf(Buffer.from(leaf, 'hex'))))
  expect(rootOf(range).toString('hex')).toBe('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328')
})

function vectors<T>(name: string): T[] {
  return JSON.parse(readFileSync(`test/vectors/${name}.json`, 'utf8')) as T[]
}

const decode = (text: string) => Buffer.from(text, 'base64')

interface InclusionVector {
  file: string
  leafIdx: string
  treeSize: string
  root: string
  leafHash: string
  proof: string[]
  wantErr: boolean
}

test.each(vectors<InclusionVector>('inclusion'))('the published inclusion proof $file', (vector) => {
  const claim = {
    index: BigInt(vector.leafIdx),
    size: BigInt(vector.treeSize),
    leafHash: decode(vector.leafHash),
    root: decode(vector.root),
    proof: vector.proof.map(decode),
  }
  expect(verifyInclusion(claim)).toBe(!vector.wantErr)
})

interface ConsistencyVector {
  file: string
  size1: string
  size2: string
  root1: string
  root2: string
  proof: string[]
  wantErr: boolean
}

test.each(vectors<ConsistencyVector>('consistency'))('the published consistency proof $file', (vector) => {
  const claim = {
    oldSize: BigInt(vector.size1),
    newSize: BigInt(vector.size2),
    oldRoot: decode(vector.root1),
    newRoot: decode(vector.root2),
    proof: vector.proof.map(decode),
  }
  expect(verifyConsistency(claim)).toBe(!vector.wantErr)
})
