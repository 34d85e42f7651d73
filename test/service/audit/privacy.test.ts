// Private values beside the leaves: stored, presented, held and redacted, and the verdicts of both verifiers.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PrivacyService } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { makeEvent, makeSigner, PLATFORM_TOKEN, startAudit, type RunningAudit } from '../../support/audit.ts'
import { runCli } from '../../support/cli.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'
import { verifyByBoth } from '../../support/both-verifiers.ts'

const home = await mkdtemp(join(tmpdir(), 'modelkeep-privacy-'))
const database = await createDatabase()
const signer = makeSigner()
const SECRET = 'Mrs Miller called'
const LARGE = { notes: 'x'.repeat(200_000), email: 'miller@example.com' }
const events = [
  makeEvent(1, { reason: SECRET }),
  makeEvent(2, { reason: '', details: { email: 'miller@example.com', count: 3 } }),
  makeEvent(3, { reason: 'é "large" \u2028 €', details: LARGE }),
  makeEvent(4, { reason: '' }),
  makeEvent(5, { reason: 'held', resource: { ...makeEvent(5).resource!, namespace: 'legal' } }),
]
let audit: RunningAudit
beforeAll(async () => {
  audit = await startAudit(database.url, { signer, privateDetails: ['email'] })
  audit.known.set('mk_admin', { principal: 'root', roles: { '*': Role.ADMIN } })
  await audit.ingest.appendEvents({ events })
})
afterAll(async () => {
  await audit.close()
  await database.drop()
  await rm(home, { recursive: true, force: true })
})

const privacy = () => audit.client(PrivacyService, 'mk_admin')
const read = async (index: number) =>
  (await audit.log.getEntry({ entry: { case: 'index', value: BigInt(index) } })).entry!
const modelkeep = (...args: string[]) =>
  runCli(['audit', ...args], { MODELKEEP_ADDRESS: audit.address, MODELKEEP_TOKEN: 'mk_admin' }, home)
const exported = async (): Promise<string> => {
  expect(await modelkeep('export', 'log.jsonl')).toMatchObject({ code: 0 })
  return readFile(join(home, 'log.jsonl'), 'utf8')
}
const verify = (...texts: string[]) => verifyByBoth({ home, vkey: signer.vkey }, texts)
const GOOD = { codes: [0], python: [0] }

test('stores reasons, private details and large details beside the leaves, and returns them', async () => {
  for (const [index, event] of events.entries()) {
    const { event: shown, leaf, openings } = await read(index)
    expect(shown).toMatchObject({ reason: event.reason })
    expect(shown!.details).toEqual(event.details)
    const text = Buffer.from(leaf).toString()
    expect(text.length).toBeLessThan(65_536)
    for (const secret of [SECRET, 'miller@', 'xxx', 'held']) expect(text).not.toContain(secret)
    const { commitments = {} } = (JSON.parse(text) as { event: { commitments?: Record<string, string> } }).event
    expect(openings.map(({ field }) => field)).toEqual(Object.keys(commitments))
    for (const { field, salt, value } of openings) {
      expect(createHash('sha256').update(salt).update(value).digest('base64')).toBe(commitments[field])
    }
  }
  const fields = async (index: number) => (await read(index)).openings.map(({ field }) => field)
  expect([await fields(0), await fields(1), await fields(2), await fields(3)]).toEqual([
    ['reason'],
    ['details.email'],
    ['details', 'reason'],
    [],
  ])
  const { entries } = await audit.log.listEntries({ filter: 'reason:"Miller"' })
  expect(entries.map(({ index }) => index)).toEqual([0n])
})

test('equal reasons have different commitments, and a repeated event is still recognized', async () => {
  const [one, two] = [makeEvent(6, { reason: SECRET }), makeEvent(7, { reason: SECRET })]
  await audit.ingest.appendEvents({ events: [one, two] })
  const commitment = async (index: number) => (await read(index)).event!.commitments['reason']
  expect(await commitment(5)).not.toBe(await commitment(6))
  expect(await audit.ingest.appendEvents({ events })).toMatchObject({ indexes: [0n, 1n, 2n, 3n, 4n] })
  const altered = [{ ...events[0]!, reason: 'another' }]
  expect(await refusalOf(audit.ingest.appendEvents({ events: altered }))).toMatchObject({ reason: 'EVENT_ALTERED' })
})

test('redacts a value and records it; proofs and verifiers accept the log', async () => {
  const before = await exported()
  expect(await verify(before)).toMatchObject({
    ...GOOD,
    out: [expect.stringContaining('7 match their commitments, 0')],
  })
  const { id } = events[0]!
  const leaf = (await read(0)).leaf
  const { redactIndex } = await privacy().redactEvent({ eventId: id, reason: 'article 17' })
  const entry = await read(0)
  expect(entry.leaf).toEqual(leaf)
  expect(entry.event!.reason).toBe('')
  expect(entry.openings).toMatchObject([{ field: 'reason', redactIndex }])
  const record = await read(Number(redactIndex))
  expect(record.event).toMatchObject({
    type: 'event.redacted.v1',
    producer: 'audit',
    actor: { principal: 'root' },
    resource: { type: 'event', id, namespace: 'fraud' },
    reason: 'article 17',
    details: { index: '0', fields: ['reason'] },
  })
  expect(await privacy().redactEvent({ eventId: id, reason: 'again' })).toMatchObject({ redactIndex })
  expect(JSON.stringify(await runSql(database.url, 'select * from audit.private_value'))).not.toContain(
    `"value":"\\"${SECRET}\\"","index":"0"`,
  )
  const after = await exported()
  expect(after).toContain(`{"open":0,"field":"reason","redacted":${redactIndex}}`)
  expect(await verify(after)).toMatchObject({ ...GOOD, out: [expect.stringContaining(', 1 erased')] })
  expect(await verify(before)).toMatchObject(GOOD)
  expect(await audit.ingest.appendEvents({ events })).toMatchObject({ indexes: [0n, 1n, 2n, 3n, 4n] })
})

test('verifiers detect a value that is missing, changed, moved, or present after its redaction', async () => {
  const text = await exported()
  const lines = text.split('\n')
  const find = (start: string) => lines.findIndex((line) => line.startsWith(start))
  const [erased, email, large] = [find('{"open":0,'), find('{"open":1,'), find('{"open":2,"field":"reason"')]
  const wrong = {
    dropped: lines.toSpliced(email, 1),
    repeated: lines.toSpliced(email, 0, lines[email]!),
    changed: lines.with(email, lines[email]!.replace('miller', 'mister')),
    salted: lines.with(email, lines[email]!.replace(/"salt":"../, '"salt":"AA')),
    renamed: lines.with(email, lines[email]!.replace('details.email', 'details.other')),
    moved: lines.toSpliced(large, 1).toSpliced(email, 0, lines[large]!),
    'erased without an event': lines.with(email, '{"open":1,"field":"details.email","redacted":3}'),
    'erased by an event of another': lines.with(email, lines[erased]!.replace('"open":0', '"open":1')),
    'erased before': lines.with(email, '{"open":1,"field":"details.email","redacted":1}'),
    'shown again': lines.with(erased, lines[large]!.replace('"open":2', '"open":0')),
    unmarked: lines.toSpliced(erased, 1),
  }
  const beyond = lines.with(email, '{"open":1,"field":"details.email","redacted":1000}')
  const texts = [...Object.values(wrong), beyond].map((changed) => changed.join('\n'))
  const { codes, python, out } = await verify(...texts)
  const names = Object.keys(wrong)
  expect(names.filter((_, at) => codes[at] !== 7 || python[at] !== 7)).toEqual([])
  expect(codes.at(-1)).toBe(8)
  expect(out.at(-1)).toContain('export the log again')
})

test('a hold blocks redaction until it is released, also in the database', async () => {
  const { hold } = await privacy().placeHold({ subject: { case: 'namespace', value: 'legal' }, reason: 'case 7' })
  expect(hold).toMatchObject({ namespace: 'legal', placer: 'root', reason: 'case 7' })
  expect((await privacy().listHolds({})).holds).toEqual([hold])
  const eventId = events[4]!.id
  const refused = await refusalOf(privacy().redactEvent({ eventId, reason: 'asked' }))
  expect(refused).toMatchObject({ code: 'FailedPrecondition', reason: 'EVENT_HELD', metadata: { hold: hold!.id } })
  const erase = `update audit.private_value set salt = null, value = null, redact_index = 9 where index = 4`
  await expect(runSql(database.url, erase)).rejects.toThrow('a legal hold keeps')
  await privacy().releaseHold({ id: hold!.id, reason: 'case closed' })
  expect((await privacy().listHolds({})).holds).toEqual([])
  await privacy().releaseHold({ id: hold!.id, reason: 'again' })
  await privacy().redactEvent({ eventId, reason: 'asked' })
  const { entries } = await audit.log.listEntries({ filter: 'type:"hold."', orderBy: 'index' })
  expect(entries.map(({ event }) => event!.type)).toEqual(['hold.placed.v1', 'hold.released.v1'])
  expect(await verify(await exported())).toMatchObject(GOOD)
})

test('rejects invalid redactions and holds, and callers who are not administrators', async () => {
  const reason = 'asked'
  const redact = (init: object) => refusalOf(privacy().redactEvent({ eventId: events[3]!.id, reason, ...init }))
  expect(await redact({})).toMatchObject({ reason: 'EVENT_NOT_PRIVATE' })
  expect(await redact({ eventId: events[1]!.id, fields: ['reason'] })).toMatchObject({ reason: 'EVENT_NOT_PRIVATE' })
  expect(await redact({ eventId: '01900000-0000-7000-8000-000000000000' })).toMatchObject({ reason: 'EVENT_NOT_FOUND' })
  expect(await redact({ reason: ' ' })).toMatchObject({ reason: 'FIELD_INVALID', metadata: { field: 'reason' } })
  const reader = audit.client(PrivacyService, PLATFORM_TOKEN)
  expect(await refusalOf(reader.redactEvent({ eventId: events[1]!.id, reason }))).toMatchObject({
    reason: 'PERMISSION_DENIED',
  })
  const none = { id: '01900000-0000-7000-8000-000000000000', reason }
  expect(await refusalOf(privacy().releaseHold(none))).toMatchObject({ reason: 'HOLD_NOT_FOUND' })
  expect(await refusalOf(privacy().placeHold({ reason }))).toMatchObject({ metadata: { field: 'subject' } })
})

test.each([
  [`set value = '"other"' where index = 1`, 'never changed, only erased'],
  [
    `set retention_class = '', salt = null, value = null, redact_index = 9 where index = 1`,
    'never changed, only erased',
  ],
  ['set redact_index = null, salt = $$x$$, value = $$1$$ where index = 0', 'never changed, only erased'],
])('no value is changed by hand: %s', async (change, message) => {
  for (const role of ['', 'set role modelkeep_audit; ']) {
    const allowed = role === '' || !change.includes('retention_class')
    const refused = allowed ? message : 'permission denied'
    await expect(runSql(database.url, `${role}update audit.private_value ${change}`)).rejects.toThrow(refused)
  }
})

test('erases and holds by command', async () => {
  const { id } = events[2]!
  const args = ['redact', id, '--field', 'details', '--reason', 'asked']
  expect((await modelkeep(...args)).code).toBe(2)
  expect(await modelkeep(...args, '--yes')).toMatchObject({ code: 0, out: expect.stringContaining('erased') })
  const { code, out } = await modelkeep('hold', 'place', '--resource', 'r-1', '--reason', 'case 8', '--json')
  expect(code).toBe(0)
  const hold = (JSON.parse(out) as { id: string }).id
  expect((await modelkeep('hold', 'list')).out).toContain(hold)
  expect(await modelkeep('hold', 'release', hold, '--reason', 'over')).toMatchObject({ code: 0 })
  expect((await modelkeep('hold', 'release', '01900000-0000-7000-8000-000000000000', '--reason', 'x')).code).toBe(3)
})

test('exports CloudEvents as JSON lines, with the private values not redacted', async () => {
  expect(await modelkeep('export', 'events.jsonl', '--format', 'cloudevents')).toMatchObject({ code: 0 })
  const lines = (await readFile(join(home, 'events.jsonl'), 'utf8')).split('\n').slice(0, -1)
  const found = lines.map((line) => JSON.parse(line) as Record<string, unknown> & { data: Record<string, unknown> })
  expect(found.map(({ logindex }) => logindex)).toEqual(found.map((_, index) => String(index)))
  expect(found[1]).toMatchObject({
    specversion: '1.0',
    id: events[1]!.id,
    source: '/modelkeep/metadata',
    type: 'modelkeep.version.noted.v1',
    subject: 'fraud/scorer:2',
    sequence: '0000000000000000002',
    authtype: 'api_key',
    authid: 'alice',
    data: { details: { email: 'miller@example.com', count: 3 } },
  })
  // Attributes are named in lower-case letters and digits, and none is null.
  for (const event of found) {
    for (const [name, value] of Object.entries(event))
      expect([name, value === null]).toEqual([name.match(/^[a-z0-9]{1,20}$/)?.[0], false])
  }
  expect(found[0]!.data['reason']).toBeUndefined()
  expect(found[2]!.data['details']).toBeUndefined()
  expect(found[5]!.data['reason']).toBe(SECRET)
  expect((await modelkeep('export', 'events.jsonl', '--format', 'xml')).code).toBe(2)
})
