// Signing of checkpoints: several replicas, restored backups, rewritten logs and new keys never fork a signed log.
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, inject, test, vi } from 'vitest'
import { Health, HealthCheckResponse_ServingStatus as Status } from '#gen/health/v1/health_pb.ts'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { verifyConsistency } from '#lib/tlog/merkle-proof.ts'
import { findCheckpoint, findVerifier, openNote } from '#lib/tlog/note.ts'
import { createSigner } from '../../../services/audit/signer.ts'
import { ARTIFACT_TOKEN, makeEvents, makeSigner, startAudit, type RunningAudit } from '../../support/audit.ts'
import { closeSql, createDatabase, runSql } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'

// Machines under load are slow.
vi.setConfig({ testTimeout: 120_000 })

const home = await mkdtemp(join(tmpdir(), 'modelkeep-checkpoints-'))
const databases: Awaited<ReturnType<typeof createDatabase>>[] = []
afterAll(async () => {
  for (const database of databases) await database.drop()
  await rm(home, { recursive: true, force: true })
})

async function freshDatabase(): Promise<string> {
  const database = await createDatabase()
  databases.push(database)
  return database.url
}

let files = 0
const freshStateFile = () => join(home, `state-${(files += 1)}`)

const append = (audit: RunningAudit, first: number, count: number) =>
  audit.ingest.appendEvents({ events: makeEvents(first, count) })

async function published(audit: RunningAudit, size: number) {
  return vi.waitFor(async () => {
    const { checkpoint } = await audit.proofs.getCheckpoint({ minSize: BigInt(size) })
    return checkpoint!
  }, 20_000)
}

async function healthOf(audit: RunningAudit) {
  const health = audit.client(Health, 'none')
  const status = async (service: string) =>
    (await health.check({ service })).status === Status.SERVING ? 'SERVING' : 'NOT_SERVING'
  return [await status(''), await status(ProofService.typeName)]
}

/** Copies a database while nobody is connected, as a backup does. */
async function copyOf(url: string): Promise<string> {
  const { pathname } = new URL(url)
  const name = `${pathname.slice(1)}_copy_${(files += 1)}`
  await closeSql(url)
  await runSql(inject('postgresUrl'), `create database ${name} template ${pathname.slice(1)}`)
  const copy = new URL(url)
  copy.pathname = name
  const drop = async () => void (await runSql(inject('postgresUrl'), `drop database ${name} with (force)`))
  databases.push({ url: copy.href, drop })
  return copy.href
}

test('a process without a key serves the log and publishes no checkpoints', async () => {
  const audit = await startAudit(await freshDatabase())
  await append(audit, 1, 3)
  expect((await audit.log.listEntries({})).logSize).toBe(3n)
  await audit.close()
  const again = await startAudit(databases.at(-1)!.url)
  expect(await refusalOf(again.proofs.getCheckpoint({}))).toMatchObject({ reason: 'CHECKPOINT_NOT_FOUND' })
  expect(await healthOf(again)).toEqual(['SERVING', 'SERVING'])
  await again.close()
})

test('replicas that race never sign a fork: every checkpoint extends every smaller one', async () => {
  const url = await freshDatabase()
  const { privateKey } = generateKeyPairSync('ed25519')
  const signerOf = () => createSigner('log.example/race', [privateKey], freshStateFile())
  const signers = [signerOf(), signerOf(), signerOf()]
  const replicas = await Promise.all(signers.map((signer) => startAudit(url, { signer })))
  const send = async (producer: string, token: string | undefined, at: number) => {
    for (let batch = 0; batch < 60; batch += 1) {
      const replica = replicas[(batch + at) % replicas.length]!
      const ingest = token ? replica.client(IngestService, token) : replica.ingest
      await ingest.appendEvents({ events: makeEvents(1 + batch * 7, 7, { producer }) })
      if (batch % 15 === 14) await published(replica, batch * 7)
    }
  }
  await Promise.all([send('metadata', undefined, 0), send('artifact', ARTIFACT_TOKEN, 1)])
  await published(replicas[0]!, 840)
  const verifier = findVerifier(signers[0]!.vkey)!
  const rows = (await runSql(url, 'select note from audit.checkpoint order by size')) as { note: string }[]
  const signed = rows.map(({ note }) => findCheckpoint(openNote(note, verifier)!)!)
  expect(signed.length).toBeGreaterThan(1)
  expect(new Set(signed.map(({ size }) => size)).size).toBe(signed.length)
  for (const [at, old] of signed.entries()) {
    for (const young of signed.slice(at)) {
      const sizes = { oldSize: old.size, newSize: young.size }
      const { hashes } = await replicas[0]!.proofs.getConsistencyProof(sizes)
      expect(verifyConsistency({ ...sizes, oldRoot: old.root, newRoot: young.root, proof: hashes })).toBe(true)
    }
  }
  await Promise.all(replicas.map((replica) => replica.close()))
  for (const { stateFile } of signers) expect(await readFile(stateFile!, 'utf8')).toBe(rows.at(-1)!.note)
})

test('does not sign a database restored from an old backup, logs why, and continues to serve', async () => {
  const url = await freshDatabase()
  const signer = makeSigner('log.example/backup', freshStateFile())
  const before = await startAudit(url, { signer })
  await append(before, 1, 5)
  await before.close()
  const backup = await copyOf(url)
  const after = await startAudit(url, { signer })
  await append(after, 6, 5)
  const last = await published(after, 10)
  await after.close()
  expect(await readFile(signer.stateFile!, 'utf8')).toBe(last.note)

  const logs: string[] = []
  const restored = await startAudit(backup, { signer, logs })
  await vi.waitFor(
    () => expect(logs.join()).toContain('has a signed checkpoint of 10 entries, but the log has only 5'),
    5_000,
  )
  expect(logs.join()).toContain('Restore the database to its newest state')
  expect(await healthOf(restored)).toEqual(['SERVING', 'NOT_SERVING'])
  await append(restored, 6, 7)
  await vi.waitFor(
    () => expect(logs.join()).toContain('log of 12 entries does not extend the signed checkpoint'),
    5_000,
  )
  expect((await restored.proofs.getCheckpoint({})).checkpoint!.size).toBe(5n)
  await restored.close()
  expect(await readFile(signer.stateFile!, 'utf8')).toBe(last.note)

  const heir = await startAudit(backup, { signer: makeSigner('log.example/backup-2', freshStateFile()) })
  expect((await published(heir, 12)).note).toContain('log.example/backup-2\n12\n')
  expect(await healthOf(heir)).toEqual(['SERVING', 'SERVING'])
  await heir.close()
})

test.each([
  ['a tile', `update audit.tile set hashes = overlay(hashes placing '\\x00' from 1) where level = 0`],
  ['the head', `update audit.log_head set root = sha256('another'), peaks = sha256('another') || sha256('one')`],
  ['a checkpoint', `update audit.checkpoint set root = sha256('another')`],
])('does not sign a log after its owner has rewritten %s', async (_name, statement) => {
  const url = await freshDatabase()
  const signer = makeSigner('log.example/rewritten')
  const first = await startAudit(url, { signer })
  await append(first, 1, 5)
  await first.close()
  await runSql(url, `set session_replication_role = replica; ${statement}`)
  await closeSql(url)
  const logs: string[] = []
  const again = await startAudit(url, { signer, logs })
  await append(again, 6, 1)
  await vi.waitFor(
    () => expect(logs.join()).toContain('does not extend the signed checkpoint of 5 entries in the database'),
    5_000,
  )
  expect(await healthOf(again)).toEqual(['SERVING', 'NOT_SERVING'])
  expect((await again.proofs.getCheckpoint({})).checkpoint!.size).toBe(5n)
  await again.close()
})

test.each([
  ['is damaged', 'garbage', 'does not contain a checkpoint'],
  ["is another log's", undefined, 'belongs to log log.example/other'],
])('signs nothing while the state file %s', async (_name, content, message) => {
  const signer = makeSigner('log.example/state', freshStateFile())
  if (content === undefined) {
    const other = await startAudit(await freshDatabase(), { signer: makeSigner('log.example/other', signer.stateFile) })
    await append(other, 1, 1)
    await other.close()
  } else await writeFile(signer.stateFile!, content)
  const logs: string[] = []
  const audit = await startAudit(await freshDatabase(), { signer, logs })
  await append(audit, 1, 1)
  await vi.waitFor(() => expect(logs.join()).toContain(message), 20_000)
  await rm(signer.stateFile!)
  expect((await published(audit, 1)).size).toBe(1n)
  await vi.waitFor(async () => expect(await healthOf(audit)).toEqual(['SERVING', 'SERVING']), 20_000)
  await audit.close()
})

test('a new key signs the present log, and checkpoints of the old key remain', async () => {
  const url = await freshDatabase()
  const [old, fresh] = [makeSigner('log.example/keys'), makeSigner('log.example/keys')]
  const first = await startAudit(url, { signer: old })
  await append(first, 1, 3)
  await first.close()
  const second = await startAudit(url, { signer: fresh })
  await vi.waitFor(async () => {
    const { checkpoint } = await second.proofs.getCheckpoint({})
    expect(openNote(checkpoint!.note, findVerifier(fresh.vkey)!)).toBeDefined()
  }, 20_000)
  const rows = (await runSql(url, 'select size, note from audit.checkpoint order by sign_time')) as { note: string }[]
  expect(rows.map(({ note }) => openNote(note, findVerifier(old.vkey)!) !== undefined)).toEqual([true, false])
  await second.close()
})
