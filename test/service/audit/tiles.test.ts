// The tree in the database, its tiles by plain HTTP, and the migration that builds it for an older log.
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { hashLeaf, hashNode } from '#lib/tlog/merkle.ts'
import { findCheckpoint, findVerifier, openNote } from '#lib/tlog/note.ts'
import { openOwnedStore } from '../../../services/audit/store/orm.ts'
import { findTilePath } from '#lib/tlog/tiles.ts'
import {
  makeEvents,
  makeSigner,
  METADATA_TOKEN,
  PLATFORM_TOKEN,
  startAudit,
  type RunningAudit,
} from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'

const SIZE = 700
const database = await createDatabase()
const signer = makeSigner()
let audit: RunningAudit
let hashes: Buffer[]
beforeAll(async () => {
  audit = await startAudit(database.url, { signer })
  audit.known.set('mk_fraud', { principal: 'fran', roles: { fraud: 1 } })
  // Batches that end before, at and after the end of a tile.
  for (const [first, count] of [
    [1, 100],
    [101, 155],
    [256, 1],
    [257, 1],
    [258, 200],
    [458, 243],
  ] as const) {
    await audit.ingest.appendEvents({ events: makeEvents(first, count) })
  }
  hashes = (await entriesOf(database.url)).map(({ leaf }) => hashLeaf(leaf))
  await vi.waitFor(() => expect(audit.proofs.getCheckpoint({ minSize: BigInt(SIZE) })).resolves.toBeDefined(), 5_000)
})
afterAll(async () => {
  await audit.close()
  await database.drop()
})

const entriesOf = async (url: string) =>
  (await runSql(url, 'select leaf from audit.entry order by index')) as { leaf: Buffer }[]

/** Computes a root as RFC 6962, section 2.1, defines it. */
function naiveRoot(leaves: Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0]!
  const middle = 2 ** Math.floor(Math.log2(leaves.length - 1))
  return hashNode(naiveRoot(leaves.slice(0, middle)), naiveRoot(leaves.slice(middle)))
}

/** Computes every tile as the specification defines it. */
function tilesOver(leaves: Buffer[]): { level: number; index: number; hashes: Buffer }[] {
  const tiles = []
  let row = leaves
  for (let level = 0; row.length > 0; level += 1) {
    const above = []
    for (let at = 0; at < row.length; at += 256) {
      const part = row.slice(at, at + 256)
      tiles.push({ level, index: at / 256, hashes: Buffer.concat(part) })
      if (part.length === 256) above.push(naiveRoot(part))
    }
    row = above
  }
  return tiles
}

async function storedTree(url: string) {
  const tiles = await runSql(url, 'select level, index::int, hashes from audit.tile order by level, index')
  const [head] = (await runSql(url, 'select size::int, root from audit.log_head')) as { size: number; root: Buffer }[]
  return { tiles, ...head! }
}

const ask = (path: string, token = PLATFORM_TOKEN) =>
  fetch(`${audit.address}${path}`, { headers: { authorization: `Bearer ${token}` } })
const bytes = async (path: string) => Buffer.from(await (await ask(path)).arrayBuffer())

test('stores the tiles and the root of the leaves', async () => {
  expect(await storedTree(database.url)).toEqual({ tiles: tilesOver(hashes), size: SIZE, root: naiveRoot(hashes) })
})

test('serves a consistent checkpoint, tiles and entries by plain HTTP', async () => {
  const answer = await ask('/checkpoint')
  expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  const { size, root } = findCheckpoint(openNote(await answer.text(), findVerifier(signer.vkey)!)!)!
  expect([size, root]).toEqual([BigInt(SIZE), naiveRoot(hashes)])
  for (const { level, index, hashes: tile } of tilesOver(hashes)) {
    const width = tile.length / 32
    const path = `/tile/${level}/${String(index).padStart(3, '0')}`
    expect((await bytes(width === 256 ? path : `${path}.p/${width}`)).equals(tile)).toBe(true)
  }
  expect((await bytes('/tile/0/000.p/7')).equals(Buffer.concat(hashes.slice(0, 7)))).toBe(true)
  expect((await ask('/tile/0/000')).headers.get('cache-control')).toContain('immutable')
  const found = []
  for (const path of ['000', '001', `002.p/${SIZE - 512}`]) {
    const bundle = await bytes(`/tile/entries/${path}`)
    for (let at = 0; at < bundle.length; at += 2 + bundle.readUInt16BE(at)) {
      found.push(hashLeaf(bundle.subarray(at + 2, at + 2 + bundle.readUInt16BE(at))))
    }
  }
  expect(found).toEqual(hashes)
})

test.each([
  '/tile/0/003',
  '/tile/0/002',
  `/tile/0/002.p/${SIZE - 511}`,
  '/tile/entries/002',
  '/tile/1/000',
  '/tile/1/000.p/3',
  '/tile/2/000.p/1',
  '/tile/0/000.p/0',
  '/tile/0/000.p/256',
  '/tile/0/0',
  '/tile/0/x000/000',
  '/tile/00/000',
  '/tile/64/000',
  '/tile/0/000/',
  '/tile/0/000?',
  '/tile/-1/000',
  '/tile/entries/x999/x999/x999/x999/999',
  '/checkpoint/',
])('responds with 404 to %s', async (path) => {
  expect((await ask(path)).status).toBe(404)
})

test('parses tile paths of the specification', () => {
  expect(findTilePath('/tile/3/x001/x234/067')).toEqual({ level: 3, index: 1234067, width: undefined })
  expect(findTilePath('/tile/entries/x001/000.p/255')).toEqual({ level: 'entries', index: 1000, width: 255 })
})

test('requires a token for hashes and a role on all namespaces for entries, and records denials', async () => {
  for (const path of ['/checkpoint', '/tile/0/000', '/tile/entries/000']) {
    expect((await fetch(`${audit.address}${path}`)).status).toBe(401)
    expect((await ask(path, 'mk_wrong')).status).toBe(401)
  }
  expect((await ask('/tile/0/000', 'mk_fraud')).status).toBe(200)
  expect((await ask('/checkpoint', METADATA_TOKEN)).status).toBe(200)
  expect((await ask('/tile/entries/000', 'mk_fraud')).status).toBe(403)
  expect((await ask('/tile/entries/000', METADATA_TOKEN)).status).toBe(403)
  const { entries } = await audit.log.listEntries({ filter: 'type = access.denied.v1', orderBy: 'index' })
  const resource = { name: 'modelkeep.audit.v1.ProofService/ExportEntries' }
  expect(entries.map(({ event }) => event)).toMatchObject([
    { actor: { principal: 'fran' }, resource },
    { actor: { principal: 'service:metadata' }, resource },
  ])
  expect((await fetch(`${audit.address}/checkpoint`, { method: 'POST' })).status).toBe(404)
})

test('the migration builds the tree of a log without one', async () => {
  const server = inject('postgresUrl')
  await runSql(server, 'create database before_tree')
  const url = new URL(server)
  url.pathname = 'before_tree'
  const store = openOwnedStore({ url: url.href })
  try {
    await runSql(url.href, 'create schema audit')
    await store.migrator.up({ to: 'M0001Log' })
    await runSql(
      url.href,
      `insert into audit.entry (index, event_id, producer, sequence, type, actor, outcome, namespace, resource_type,
          resource_id, resource_name, resource_digest, reason, request_id, occur_time, record_time, leaf, leaf_hash)
        select index, gen_random_uuid(), 'metadata', index + 1, 't', '', 'SUCCEEDED', '', '', '', '', '', '', '', now(),
          now(), leaf, sha256('\\x00'::bytea || leaf)
        from (select index, convert_to('leaf ' || index, 'UTF8') as leaf from generate_series(0, 16999) as index) as old`,
    )
    await runSql(url.href, 'update audit.log_head set size = 17000')
    await store.migrator.up()
    const leaves = (await entriesOf(url.href)).map(({ leaf }) => hashLeaf(leaf))
    expect(await storedTree(url.href)).toEqual({ tiles: tilesOver(leaves), size: 17_000, root: naiveRoot(leaves) })
    const again = await startAudit(url.href)
    await runSql(url.href, `insert into audit.producer values ('metadata', 17001)`)
    await again.ingest.appendEvents({ events: makeEvents(17_001, 200) })
    await again.close()
    const all = (await entriesOf(url.href)).map(({ leaf }) => hashLeaf(leaf))
    expect(await storedTree(url.href)).toEqual({ tiles: tilesOver(all), size: 17_200, root: naiveRoot(all) })
  } finally {
    await store.close(true)
    await runSql(server, 'drop database before_tree with (force)')
  }
})
