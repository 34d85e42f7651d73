// Private values expire by the class of their event, unless they are under a hold; leaves, proofs and exports stay valid.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RetentionClass } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { PrivacyService } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { makeEvent, makeSigner, PLATFORM_TOKEN, startAudit, type RunningAudit } from '../../support/audit.ts'
import { runCli } from '../../support/cli.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'

const home = await mkdtemp(join(tmpdir(), 'modelkeep-retention-'))
const database = await createDatabase()
const signer = makeSigner()
const resource = { type: 'blob', id: 'held', namespace: 'legal', name: 'legal/held' }
const secret = { email: 'miller@example.com' }
const events = [
  makeEvent(1, { type: 'blob.noted.v1', reason: 'routine', details: secret }),
  makeEvent(2, { type: 'role.noted.v1', reason: 'access' }),
  makeEvent(3, { type: 'version.noted.v1', reason: 'decision', details: secret }),
  makeEvent(4, { type: 'blob.noted.v1', reason: 'in dispute', resource }),
  makeEvent(5, { type: 'blob.noted.v1', reason: '' }),
]
let audit: RunningAudit
beforeAll(async () => {
  // Values do not expire in this service.
  audit = await startAudit(database.url, { signer, privateDetails: ['email'] })
  audit.known.set('mk_admin', { principal: 'root', roles: { '*': Role.ADMIN } })
  await audit.ingest.appendEvents({ events })
  await privacyOf(audit).placeHold({ subject: { case: 'namespace', value: 'legal' }, reason: 'case 7' })
})
afterAll(async () => {
  await audit.close()
  await database.drop()
  await rm(home, { recursive: true, force: true })
})

const privacyOf = (running: RunningAudit) => running.client(PrivacyService, 'mk_admin')
const read = async (index: number) =>
  (await audit.log.getEntry({ entry: { case: 'index', value: BigInt(index) } })).entry!
const erased = async (index: number) => (await read(index)).openings.map((opening) => opening.redactIndex !== undefined)
const expiries = async () =>
  (await audit.log.listEntries({ filter: 'type = "values.expired.v1"', orderBy: 'index' })).entries
const modelkeep = (...args: string[]) =>
  runCli(['audit', ...args], { MODELKEEP_ADDRESS: audit.address, MODELKEEP_TOKEN: 'mk_admin' }, home)

/** Expects both verifiers to accept the present log, and returns the output of the first. */
async function verified(): Promise<string> {
  const { size } = await audit.log.getLogHealth({})
  await expect.poll(async () => (await audit.log.getLogHealth({})).checkpointSize >= size).toBe(true)
  expect(await modelkeep('export', 'log.jsonl')).toMatchObject({ code: 0 })
  const { code, out, err } = await modelkeep('verify', 'log.jsonl', '--key', signer.vkey)
  expect([code, err]).toEqual([0, ''])
  await promisify(execFile)('python3', ['-B', 'clients/python/verify.py', join(home, 'log.jsonl'), signer.vkey])
  return out
}

/** Starts another process on the same log, in which values expire. */
async function expire(retention: { OPERATIONAL: number; SECURITY: number; GOVERNANCE: number }): Promise<void> {
  const before = (await expiries()).length
  const other = await startAudit(database.url, { retention, expireEveryMs: 100 })
  await expect.poll(async () => (await expiries()).length).toBeGreaterThan(before)
  await other.close()
}

test('records the retention class of each event in its leaf', async () => {
  const classes = await Promise.all(events.map(async (_, index) => (await read(index)).event!.retentionClass))
  const { OPERATIONAL, SECURITY, GOVERNANCE } = RetentionClass
  expect(classes).toEqual([OPERATIONAL, SECURITY, GOVERNANCE, OPERATIONAL, OPERATIONAL])
  expect(Buffer.from((await read(1)).leaf).toString()).toContain('"retentionClass":"RETENTION_CLASS_SECURITY"')
  const own = makeEvent(6, { retentionClass: OPERATIONAL })
  expect(await refusalOf(audit.ingest.appendEvents({ events: [own] }))).toMatchObject({
    fields: ['events[0].retention_class'],
  })
})

test('recognizes a repeated event', async () => {
  expect(await audit.ingest.appendEvents({ events })).toMatchObject({ indexes: [0n, 1n, 2n, 3n, 4n] })
})

test('values expire after the retention time of their class; one event names them all, and every proof holds', async () => {
  expect(await verified()).toContain('0 erased')
  const leaf = (await read(0)).leaf
  await expire({ OPERATIONAL: 1, SECURITY: 0, GOVERNANCE: 3600 })
  expect([await erased(0), await erased(1), await erased(2)]).toEqual([[true, true], [false], [false, false]])
  expect(await read(0)).toMatchObject({ leaf, event: { reason: '', details: {} } })
  const [record, ...others] = await expiries()
  expect(others).toEqual([])
  expect(record!.event).toMatchObject({
    producer: 'audit',
    actor: { principal: 'service:audit', method: 'service' },
    resource: { type: 'retention', name: 'OPERATIONAL' },
    details: {
      retentionClass: 'RETENTION_CLASS_OPERATIONAL',
      seconds: '1',
      values: { 0: ['details.email', 'reason'] },
    },
  })
  expect(JSON.stringify(await runSql(database.url, 'select value from audit.private_value'))).not.toContain('routine')
  expect(await verified()).toContain('2 erased')
  expect(await audit.ingest.appendEvents({ events })).toMatchObject({ indexes: [0n, 1n, 2n, 3n, 4n] })
})

test('values under a legal hold expire only after its release', async () => {
  expect(await erased(3)).toEqual([false])
  const [hold] = (await privacyOf(audit).listHolds({})).holds
  await privacyOf(audit).releaseHold({ id: hold!.id, reason: 'closed' })
  await expire({ OPERATIONAL: 1, SECURITY: 0, GOVERNANCE: 0 })
  expect(await erased(3)).toEqual([true])
  expect((await expiries()).at(-1)!.event!.details).toMatchObject({ values: { 3: ['reason'] } })
  expect(await verified()).toContain('3 erased')
})

test('several processes expire each value once, also more than one event can name', async () => {
  const first = 6
  for (let at = 0; at < 900; at += 225) {
    const many = Array.from({ length: 225 }, (_, more) =>
      makeEvent(first + at + more, { type: 'token.noted.v1', reason: `${at + more}`, details: secret }),
    )
    await audit.ingest.appendEvents({ events: many })
  }
  const left = async () =>
    Number(
      (
        (await runSql(
          database.url,
          `select count(*) as count from audit.private_value where retention_class = 'SECURITY' and value is not null`,
        )) as { count: string }[]
      )[0]!.count,
    )
  expect(await left()).toBe(1801)
  const retention = { OPERATIONAL: 0, SECURITY: 1, GOVERNANCE: 0 }
  const others = await Promise.all(
    [100, 130].map((expireEveryMs) => startAudit(database.url, { retention, expireEveryMs })),
  )
  await expect.poll(left, { timeout: 10_000 }).toBe(0)
  for (const other of others) await other.close()
  const names = (await expiries()).flatMap(({ event }) =>
    Object.entries(event!.details!['values'] as Record<string, string[]>).flatMap(([index, fields]) =>
      fields.map((field) => `${index} ${field}`),
    ),
  )
  expect([names.length, new Set(names).size]).toEqual([1804, 1804])
  expect(await verified()).toContain('1804 erased')
})

test('lists retention times for administrators', async () => {
  const { retention } = await privacyOf(audit).listRetention({})
  expect(
    retention.map(({ retentionClass, keep, oldestRecordTime }) => [retentionClass, keep!.seconds, !oldestRecordTime]),
  ).toEqual([
    [RetentionClass.OPERATIONAL, 0n, true],
    [RetentionClass.SECURITY, 0n, true],
    [RetentionClass.GOVERNANCE, 0n, false],
  ])
  const reader = audit.client(PrivacyService, PLATFORM_TOKEN)
  expect(await refusalOf(reader.listRetention({}))).toMatchObject({ reason: 'PERMISSION_DENIED' })
  const { code, out } = await modelkeep('retention')
  expect([code, out]).toEqual([0, expect.stringMatching(/governance +forever +20/)])
})

test('the verifier detects a value that was removed from an export by hand', async () => {
  const text = await readFile(join(home, 'log.jsonl'), 'utf8')
  expect(text).toContain('"redacted":')
  const lines = text.split('\n')
  const at = lines.findIndex((line) => line.startsWith('{"open":2,'))
  const opening = lines.find((line) => line.startsWith('{"open":0,'))!
  await writeFile(join(home, 'changed.jsonl'), lines.with(at, opening.replace('"open":0', '"open":2')).join('\n'))
  expect(await modelkeep('verify', 'changed.jsonl', '--key', signer.vkey)).toMatchObject({ code: 7 })
})
