// Proofs by RPC, checked with the published algorithms, against checkpoints that the log has signed.
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { appendLeaf, hashLeaf, rootOf, type Range } from '#lib/tlog/merkle.ts'
import { verifyConsistency, verifyInclusion } from '#lib/tlog/merkle-proof.ts'
import { findCheckpoint, findVerifier, openNote } from '#lib/tlog/note.ts'
import { findProof } from '#lib/tlog/proof-file.ts'
import { makeEvents, makeSigner, startAudit, type RunningAudit } from '../../support/audit.ts'
import { createDatabase } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'

const database = await createDatabase()
const signer = makeSigner()
const verifier = findVerifier(signer.vkey)!
let audit: RunningAudit
beforeAll(async () => {
  audit = await startAudit(database.url, { signer })
  audit.known.set('mk_fraud', { principal: 'fran', roles: { fraud: 1 } })
  audit.known.set('mk_voice', { principal: 'vic', roles: { voice: 1 } })
  audit.known.set('mk_none', { principal: 'nobody', roles: {} })
})
afterAll(async () => {
  await audit.close()
  await database.drop()
})

const checkpoint = async (minSize: bigint) => (await audit.proofs.getCheckpoint({ minSize })).checkpoint!
const opened = (note: string) => findCheckpoint(openNote(note, verifier)!)!

async function leaves(size: number): Promise<Buffer[]> {
  const found = []
  for (let pageToken = ''; ;) {
    const page = await audit.log.listEntries({ orderBy: 'index', pageSize: 1000, pageToken })
    found.push(...page.entries.map(({ leaf }) => Buffer.from(leaf)))
    if (!(pageToken = page.nextPageToken)) return found.slice(0, size)
  }
}

function rootsOf(all: Buffer[]): Buffer[] {
  const range: Range = { size: 0, peaks: [] }
  return [
    rootOf(range),
    ...all.map((leaf) => {
      appendLeaf(range, hashLeaf(leaf))
      return rootOf(range)
    }),
  ]
}

test('an empty log has neither a checkpoint nor proofs', async () => {
  expect(await refusalOf(checkpoint(0n))).toMatchObject({ code: 'NotFound', reason: 'CHECKPOINT_NOT_FOUND' })
  const none = audit.proofs.getInclusionProof({ entry: { case: 'index', value: 0n } })
  expect(await refusalOf(none)).toMatchObject({ reason: 'EVENT_NOT_FOUND' })
})

test('a signed checkpoint covers appended events within two seconds', async () => {
  for (const [first, count] of [
    [1, 1],
    [2, 6],
    [8, 200],
    [208, 249],
    [457, 144],
  ] as const) {
    await audit.ingest.appendEvents({ events: makeEvents(first, count) })
    const size = BigInt(first + count - 1)
    await vi.waitFor(async () => expect((await checkpoint(size)).size).toBeGreaterThanOrEqual(size), 2_000)
  }
  const newest = await checkpoint(0n)
  const roots = rootsOf(await leaves(600))
  expect(newest.size).toBe(600n)
  expect(opened(newest.note)).toEqual({ origin: signer.origin, size: 600n, root: roots[600] })
  expect(Buffer.from(newest.rootHash).equals(roots[600]!)).toBe(true)
  expect((await checkpoint(1n)).size).toBe(1n)
  expect((await checkpoint(8n)).size).toBeGreaterThanOrEqual(8n)
  expect(await refusalOf(checkpoint(601n))).toMatchObject({ reason: 'CHECKPOINT_NOT_FOUND', metadata: { size: '601' } })
})

test('proves every entry in trees of many sizes', async () => {
  const all = await leaves(600)
  const roots = rootsOf(all)
  for (const size of [1, 2, 255, 256, 257, 511, 512, 600]) {
    for (const index of new Set([0, size >> 1, size - 1, Math.min(size - 1, 256)])) {
      const answer = await audit.proofs.getInclusionProof({
        entry: { case: 'index', value: BigInt(index) },
        treeSize: BigInt(size),
      })
      const claim = { index: BigInt(index), size: BigInt(size), leafHash: hashLeaf(all[index]!), root: roots[size]! }
      expect(verifyInclusion({ ...claim, proof: answer.hashes })).toBe(true)
      expect(Buffer.from(answer.leafHash).equals(claim.leafHash)).toBe(true)
    }
  }
})

test('proves that every size extends the smaller ones', async () => {
  const roots = rootsOf(await leaves(600))
  for (const newSize of [1, 7, 256, 300, 512, 600]) {
    for (const oldSize of [1, 2, 6, 255, 256, 257, 511, 600].filter((size) => size <= newSize)) {
      const sizes = { oldSize: BigInt(oldSize), newSize: BigInt(newSize) }
      const { hashes } = await audit.proofs.getConsistencyProof(sizes)
      const claim = { ...sizes, oldRoot: roots[oldSize]!, newRoot: roots[newSize]!, proof: hashes }
      expect(verifyConsistency(claim)).toBe(true)
    }
  }
  expect(await audit.proofs.getConsistencyProof({ oldSize: 3n })).toMatchObject({ oldSize: 3n, newSize: 600n })
})

test('a proof bundle proves its event offline', async () => {
  const { entry } = await audit.log.getEntry({ entry: { case: 'index', value: 300n } })
  const eventId = entry!.event!.id
  const bundle = await audit.proofs.getProofBundle({ entry: { case: 'eventId', value: eventId } })
  const proof = findProof(bundle.proof)!
  const { size, root } = opened(proof.checkpoint)
  expect(verifyInclusion({ index: 300n, size, root, leafHash: hashLeaf(bundle.leaf), proof: proof.hashes })).toBe(true)
  expect(proof.index).toBe(300n)
  expect(Buffer.from(bundle.leaf).equals(Buffer.from(entry!.leaf))).toBe(true)
})

test('an export contains a checkpoint and every entry that it covers', async () => {
  const [first, ...rest] = await Array.fromAsync(audit.proofs.exportEntries({ treeSize: 0n }))
  const exported = rest.flatMap(({ entries }) => entries)
  expect(first!.checkpoint!.size).toBe(600n)
  expect(exported.map(({ leaf }) => Buffer.from(leaf))).toEqual(await leaves(600))
  expect(exported.every(({ leaf, leafHash }) => hashLeaf(leaf).equals(Buffer.from(leafHash)))).toBe(true)
  const early = await Array.fromAsync(audit.proofs.exportEntries({ treeSize: 1n }))
  expect(early.flatMap(({ entries }) => entries).length).toBe(1)
})

test('rejects invalid requests for proofs with a reason', async () => {
  const { proofs } = audit
  const index = (value: bigint) => ({ case: 'index' as const, value })
  const refusals: [() => Promise<unknown>, object][] = [
    [() => proofs.getInclusionProof({}), { reason: 'FIELD_INVALID', metadata: { field: 'entry' } }],
    [() => proofs.getInclusionProof({ entry: index(-1n) }), { reason: 'FIELD_INVALID' }],
    [() => proofs.getInclusionProof({ entry: index(600n) }), { reason: 'EVENT_NOT_FOUND' }],
    [
      () => proofs.getInclusionProof({ entry: index(5n), treeSize: 601n }),
      { code: 'OutOfRange', reason: 'TREE_TOO_LARGE', metadata: { size: '601', log_size: '600' } },
    ],
    [
      () => proofs.getInclusionProof({ entry: index(5n), treeSize: 5n }),
      { code: 'NotFound', reason: 'EVENT_NOT_FOUND' },
    ],
    [() => proofs.getConsistencyProof({ oldSize: 0n }), { reason: 'FIELD_INVALID', metadata: { field: 'old_size' } }],
    [() => proofs.getConsistencyProof({ oldSize: 5n, newSize: 4n }), { metadata: { field: 'old_size' } }],
    [() => proofs.getConsistencyProof({ oldSize: 5n, newSize: 601n }), { reason: 'TREE_TOO_LARGE' }],
    [() => proofs.getConsistencyProof({ oldSize: 601n }), { reason: 'CHECKPOINT_NOT_FOUND' }],
    [() => proofs.getProofBundle({ entry: index(600n) }), { reason: 'EVENT_NOT_FOUND' }],
    [() => proofs.getProofBundle({ entry: { case: 'eventId', value: 'x' } }), { metadata: { field: 'event_id' } }],
    [() => Array.fromAsync(proofs.exportEntries({ treeSize: 3n })), { reason: 'CHECKPOINT_NOT_FOUND' }],
  ]
  for (const [refused, expected] of refusals) {
    const { metadata, ...rest } = expected as { metadata?: object }
    expect(await refusalOf(refused())).toMatchObject(metadata ? { ...rest, metadata } : rest)
  }
})

test('returns checkpoints to every token, proofs to every reader, and leaves to readers of the namespace', async () => {
  const as = (token: string) => audit.client(ProofService, token)
  const { entry } = await audit.log.getEntry({ entry: { case: 'index', value: 3n } })
  const byId = { entry: { case: 'eventId' as const, value: entry!.event!.id } }
  const byIndex = { entry: { case: 'index' as const, value: 3n } }
  expect((await as('mk_none').getCheckpoint({})).checkpoint!.size).toBe(600n)
  expect((await as('mk_none').getConsistencyProof({ oldSize: 1n })).hashes.length).toBeGreaterThan(0)
  const none = as('mk_none')
  for (const ask of [() => none.getInclusionProof(byIndex), () => none.getProofBundle(byIndex)]) {
    expect(await refusalOf(ask())).toMatchObject({ reason: 'PERMISSION_DENIED' })
  }
  expect((await as('mk_fraud').getInclusionProof(byId)).index).toBe(3n)
  expect((await as('mk_fraud').getProofBundle(byId)).leaf.length).toBeGreaterThan(0)
  expect((await as('mk_voice').getInclusionProof(byIndex)).hashes.length).toBeGreaterThan(0)
  for (const wanted of [byId, byIndex]) {
    expect(await refusalOf(as('mk_voice').getProofBundle(wanted))).toMatchObject({ reason: 'EVENT_NOT_FOUND' })
  }
  expect(await refusalOf(as('mk_voice').getInclusionProof(byId))).toMatchObject({ reason: 'EVENT_NOT_FOUND' })
  for (const token of ['mk_fraud', 'mk_none']) {
    const refused = Array.fromAsync(as(token).exportEntries({}))
    expect(await refusalOf(refused)).toMatchObject({ reason: 'PERMISSION_DENIED' })
  }
})
