// The cache of the tree while the log grows.
import { hash } from 'node:crypto'
import { afterAll, expect, test, vi } from 'vitest'
import { appendLeaf, hashLeaf, rootOf, type Range } from '#lib/tlog/merkle.ts'
import { verifyConsistency, verifyInclusion } from '#lib/tlog/merkle-proof.ts'
import { makeEvents, makeSigner, startAudit, type RunningAudit } from '../../support/audit.ts'
import { closeSql, createDatabase, runSql, type TestDatabase } from '../../support/database.ts'

const databases: TestDatabase[] = []
afterAll(async () => {
  for (const database of databases) await database.drop()
})

async function freshDatabase(): Promise<string> {
  const database = await createDatabase()
  databases.push(database)
  return database.url
}

const inclusionIn = async ({ proofs }: RunningAudit, index: number, size: number) =>
  (await proofs.getInclusionProof({ entry: { case: 'index', value: BigInt(index) }, treeSize: BigInt(size) })).hashes

/** Returns the leaves of the log, and the root of each size. */
async function readLog({ log }: RunningAudit): Promise<{ leaves: Uint8Array[]; roots: Buffer[] }> {
  const { entries } = await log.listEntries({ orderBy: 'index', pageSize: 1000 })
  const range: Range = { size: 0, peaks: [] }
  const roots = [rootOf(range)]
  for (const { leaf } of entries) {
    appendLeaf(range, hashLeaf(leaf))
    roots.push(rootOf(range))
  }
  return { leaves: entries.map(({ leaf }) => leaf), roots }
}

test('proves entries of a growing log from cached and new tiles', async () => {
  const audit = await startAudit(await freshDatabase(), { signer: makeSigner() })
  const sizes = [3, 4, 255, 258, 300, 301, 513, 560]
  for (const [at, size] of sizes.entries()) {
    const before = sizes[at - 1] ?? 0
    await audit.ingest.appendEvents({ events: makeEvents(before + 1, size - before) })
    // Every second round reads proofs before a checkpoint is signed.
    if (at % 2 === 0) await vi.waitFor(() => audit.proofs.getCheckpoint({ minSize: BigInt(size) }), 5_000)
    const { leaves, roots } = await readLog(audit)
    expect(leaves.length).toBe(size)
    for (const index of [0, before, size >> 1, size - 1]) {
      for (const treeSize of [index + 1, (index + 1 + size) >> 1, size]) {
        const tree = { size: BigInt(treeSize), root: roots[treeSize]! }
        const leafHash = hashLeaf(leaves[index]!)
        const proof = await inclusionIn(audit, index, treeSize)
        expect(verifyInclusion({ index: BigInt(index), ...tree, leafHash, proof })).toBe(true)
        const steps = { oldSize: BigInt(index + 1), newSize: BigInt(treeSize) }
        const { hashes } = await audit.proofs.getConsistencyProof(steps)
        const ends = { oldRoot: roots[index + 1]!, newRoot: roots[treeSize]! }
        expect(verifyConsistency({ ...steps, ...ends, proof: hashes })).toBe(true)
      }
    }
  }
  await audit.close()
})

test('does not cache tiles beyond the last signed checkpoint', async () => {
  const url = await freshDatabase()
  const audit = await startAudit(url)
  await audit.ingest.appendEvents({ events: makeEvents(1, 5) })
  expect((await inclusionIn(audit, 1, 5)).length).toBe(3)
  await runSql(
    url,
    `set session_replication_role = replica;
      update audit.tile set hashes = sha256('other') || substring(hashes from 33)`,
  )
  await closeSql(url)
  const [first] = await inclusionIn(audit, 1, 5)
  expect(Buffer.from(first!).equals(hash('sha256', 'other', 'buffer'))).toBe(true)
  await audit.close()
})
