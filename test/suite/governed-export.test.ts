// Exports the log of real services: the verifier accepts their gates and promotions, and detects a change in the database with a
// forged event.
import type { DescService } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { Client } from '@connectrpc/connect'
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { AliasService } from '../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { GateService } from '../../gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { Role } from '../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { PromotionService } from '../../gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import { formatVerifierKey } from '../../services/lib/tlog/note.ts'
import { runCli } from '../support/cli.ts'
import { runSql } from '../support/database.ts'
import { createManifest, modelRef, readLog } from '../support/journey.ts'
import { refusalOf } from '../support/refusal.ts'
import { startSuite, type Suite } from '../support/suite.ts'

const ORIGIN = 'log.example/governed'
const { privateKey } = generateKeyPairSync('ed25519')
let suite: Suite
let home: string
let auditAddress: string
const tokens = new Map<string, string>()

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-governed-'))
  suite = await startSuite({ STORE: 'directory', STORE_DIRECTORY: join(home, 'objects') })
  const audit = await suite.addReplica('audit', {
    AUDIT_ORIGIN: ORIGIN,
    AUDIT_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    AUDIT_STATE_FILE: join(home, 'state'),
  })
  auditAddress = audit.address
  await writeFile(join(home, 'log.vkey'), formatVerifierKey(ORIGIN, privateKey))
  for (const name of ['carol', 'erin', 'frank']) tokens.set(name, await makeMember(name))
})
afterAll(async () => {
  await suite.stop()
  await rm(home, { recursive: true, force: true })
})

const as = <S extends DescService>(name: string, service: S): Client<S> =>
  suite.client(service, { token: tokens.get(name) ?? suite.adminToken })

async function makeMember(principal: string): Promise<string> {
  const identity = suite.client(IdentityService)
  const role = principal === 'carol' ? Role.CONTRIBUTOR : Role.APPROVER
  await identity.grantRole({ principal, namespace: 'default', role })
  const expireTime = timestampFromMs(Date.now() + 3_600_000)
  return (await identity.createToken({ principal, expireTime })).secret
}

async function makeVersions(count: number): Promise<void> {
  await as('carol', ModelService).createModel({ name: 'scorer' })
  for (let number = 1; number <= count; number += 1) {
    const manifestDigest = await createManifest(suite, { 'model.bin': randomBytes(64) })
    await as('carol', VersionService).createVersion({ model: modelRef('scorer'), manifestDigest })
  }
}

const reason = 'better'
const ref = (number: number) => ({ ref: { case: 'name' as const, value: { model: 'scorer', number } } })

async function ask(number: number, expectedNumber: number, alias = 'live'): Promise<string> {
  const request = { version: ref(number), alias, expectedNumber, reason }
  return (await as('carol', PromotionService).requestPromotion(request)).promotion!.id
}

async function approve(id: string, ...names: string[]): Promise<void> {
  for (const name of names) await as(name, PromotionService).approvePromotion({ id, reason })
}

const move = (name: string, number: number, expectedNumber: number, breakGlass = false) =>
  as(name, AliasService).setAliases({
    model: modelRef('scorer'),
    targets: [{ name: 'live', target: { case: 'number', value: number }, expectedNumber }],
    reason,
    breakGlass,
  })

/** Exports the log with all events so far, and verifies it. */
async function verify() {
  const query = 'select last_sequence::int as last from metadata.outbox_counter'
  const [{ last }] = (await runSql(suite.databaseUrl, query)) as [{ last: number }]
  let size = 0
  await vi.waitFor(async () => {
    const entries = await readLog(suite)
    expect(entries.filter(({ event }) => event!.producer === 'metadata').length).toBe(last)
    size = entries.length
  }, 20_000)
  const file = join(home, `${randomUUID()}.jsonl`)
  await vi.waitFor(
    async () => {
      const environment = { ...suite.environment, MODELKEEP_AUDIT_ADDRESS: auditAddress }
      const { out } = await runCli(['audit', 'export', file], environment)
      expect(Number(/^exported (\d+) entries/.exec(out)?.[1])).toBeGreaterThanOrEqual(size)
    },
    { timeout: 20_000, interval: 500 },
  )
  return runCli(['audit', 'verify', file, '--key', join(home, 'log.vkey')])
}

test('accepts promotions with every outcome, changed gates and a forced move', async () => {
  await makeVersions(4)
  const gates = suite.client(GateService)
  const conditions = [{ expression: 'version.number > 0', sentence: 'it is a version' }]
  await move('carol', 1, 0)
  await gates.createGate({ name: 'gate', rules: { aliasPattern: 'li*', approvalsRequired: 2, conditions } })
  expect((await refusalOf(move('carol', 2, 1))).reason).toBe('ALIAS_GATED')
  await approve(await ask(2, 1), 'erin', 'frank')
  await as('erin', PromotionService).rejectPromotion({ id: await ask(3, 2), reason })
  await as('carol', PromotionService).withdrawPromotion({ id: await ask(3, 2), reason })
  const first = await ask(3, 2)
  await approve(first, 'erin')
  await approve(await ask(4, 2), 'frank', 'erin')
  expect((await refusalOf(approve(first, 'frank'))).reason).toBe('PROMOTION_CLOSED')
  const voided = await ask(3, 4)
  await approve(voided, 'erin')
  await gates.updateGate({ name: 'gate', rules: { aliasPattern: '*', approvalsRequired: 1, approvers: ['frank'] } })
  expect((await refusalOf(approve(voided, 'frank'))).reason).toBe('PROMOTION_CLOSED')
  await approve(await ask(3, 4), 'frank')
  await approve(await ask(1, 0, 'next'), 'frank')
  await move('admin', 4, 3, true)
  const { code, out, err } = await verify()
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(
    /rules satisfied: replayed \d+ changes of models, versions, aliases, gates, promotions, roles and tokens/,
  )
  expect(out).toMatch(/alias moves: \d by promotion, \d past gates\n {2}past gates: entry \d+, /)
})

/** Moves the alias in the database, with a forged event, like an attacker who has write access. */
async function forgeMove(from: number, to: number, change: object): Promise<void> {
  const made = `
    do $$
    declare forged jsonb;
    begin
      select event into forged from metadata.outbox where event ->> 'type' = 'alias.forced.v1' order by sequence limit 1;
      forged := forged || jsonb_build_object('id', gen_random_uuid(), 'type', 'alias.moved.v1',
        'beforeDigest', (select digest from metadata.version where number = ${from}),
        'afterDigest', (select digest from metadata.version where number = ${to}));
      forged := jsonb_set(forged, '{resource,digest}', forged -> 'afterDigest');
      forged := jsonb_set(forged, '{details}', (forged -> 'details') - 'gates'
        || '{"from":${from},"to":${to}}'::jsonb || '${JSON.stringify(change)}'::jsonb);
      insert into metadata.outbox (event_id, resource_id, event)
        values ((forged ->> 'id')::uuid, forged #>> '{resource,id}', forged);
      update metadata.alias set number = ${to}, version_id = (select id from metadata.version where number = ${to})
        where id = (forged #>> '{resource,id}')::uuid;
    end $$`
  await runSql(suite.databaseUrl, made)
}

test('detects an alias that was moved in the database with a forged event', async () => {
  await forgeMove(4, 2, {})
  const plain = await verify()
  expect(plain.code).toBe(8)
  expect(plain.err).toMatch(
    /a rule was broken:\n +entry \d+, alias\.moved\.v1 of default\/scorer@live: guarded by default\/gate, but moved without a promotion\n/,
  )
  const used = await runSql(suite.databaseUrl, `select id from metadata.promotion where state = 'APPLIED' limit 1`)
  await forgeMove(2, 4, { promotion_id: (used[0] as { id: string }).id })
  const { code, err } = await verify()
  expect(code).toBe(8)
  expect(err).toContain('was not applied for this move: it was already applied')
})
