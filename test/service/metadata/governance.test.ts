// Governed rows change only together with their event, even for SQL with the rights of the service.
import { beforeAll, expect, test, vi } from 'vitest'
import { Verdict } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { byName, makeModel, numbered, pointTo, startMetadata } from '../../support/metadata.ts'

const metadata = await startMetadata()
const { admin, peers } = metadata

beforeAll(async () => {
  await makeModel(admin, 'm', 2)
  await admin.aliases.setAliases({ model: byName('m'), targets: [pointTo('production', 1)] })
  const rules = { aliasPattern: 'guarded', approvalsRequired: 2 }
  await admin.gates.createGate({ name: 'gate', rules })
  const facts = { suite: 'fairness', verdict: Verdict.PASSED }
  await admin.evaluations.createEvaluation({ version: numbered('m', 1), facts })
  const asked = { version: numbered('m', 1), alias: 'guarded', reason: 'x' }
  const { promotion } = await admin.promotions.requestPromotion(asked)
  const approver = await metadata.member({ default: 'APPROVER' })
  await approver.promotions.approvePromotion({ id: promotion!.id, reason: 'good' })
})

const asService = (statement: string) =>
  metadata.sql(`set role modelkeep_metadata; set search_path to metadata; ${statement}`)

test.each([
  `insert into metadata.namespace (name, id, description) values ('x', gen_random_uuid(), '')`,
  `update metadata.namespace set description = 'x'`,
  `delete from metadata.namespace where name = 'default'`,
  `update metadata.model set owner = 'x'`,
  `update metadata.model set state = 'ARCHIVED'`,
  `update metadata.version set description = 'x' where number = 2`,
  `update metadata.version set digest = 'x' where number = 2`,
  `delete from metadata.version where number = 2`,
  `update metadata.alias set number = 2`,
  `delete from metadata.alias`,
  `insert into metadata.alias_move (id, alias_id, model_id, name, from_number, to_number, mover, move_time, reason)
    values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'x', 0, 1, 'x', now(), '')`,
  `update metadata.gate set rules = '{}'`,
  `delete from metadata.gate`,
  `insert into metadata.gate_revision (gate_id, revision, namespace, message_bytes, changer, reason)
    values (gen_random_uuid(), 1, 'default', 0, 'x', '')`,
  `update metadata.promotion set state = 'APPLIED'`,
  `update metadata.promotion set requester = 'x'`,
  `insert into metadata.promotion_vote (promotion_id, principal, approved, reason, vote_time)
    select id, 'mallory', true, '', now() from metadata.promotion`,
  `insert into metadata.evaluation (id, version_id, suite, facts, message_bytes, creator, create_time)
    select gen_random_uuid(), id, 'fairness', '{}', 0, 'x', now() from metadata.version where number = 1`,
])('rejects %s without an event', async (statement) => {
  await expect(asService(statement)).rejects.toThrow(/without an audit event|violates foreign key/)
})

test.each([
  'update metadata.alias_move set to_number = 2',
  'delete from metadata.alias_move',
  'delete from metadata.tombstone',
  'delete from metadata.evaluation',
  `update metadata.evaluation set facts = '{}'`,
  'delete from metadata.gate_revision',
  'update metadata.gate_revision set revision = 2',
  'delete from metadata.promotion',
  'delete from metadata.promotion_vote',
  'update metadata.promotion_vote set approved = true',
])('denies the service %s', async (statement) => {
  await expect(asService(statement)).rejects.toThrow('permission denied')
})

test('changes nothing by a rejected statement', async () => {
  const { model } = await admin.models.getModel({ model: byName('m') })
  expect(model).toMatchObject({ owner: 'admin', aliases: [{ name: 'production', number: 1 }] })
  expect((await admin.versions.listVersions({ model: byName('m') })).versions).toHaveLength(2)
})

test('sends every event to the audit service once, in sequence, also from two replicas', async () => {
  await Promise.all(
    [admin, metadata.replica, admin, metadata.replica].map(({ models }, index) =>
      models.updateModel({ model: byName('m'), updateMask: { paths: ['owner'] }, owner: `o${index}` }),
    ),
  )
  const [row] = await metadata.sql<{ last_sequence: string }>('select last_sequence from metadata.outbox_counter')
  await vi.waitFor(() => expect(peers.events.length).toBeGreaterThanOrEqual(Number(row!.last_sequence)))
  const sequences = [...new Set(peers.events.map(({ sequence }) => Number(sequence)))]
  expect(sequences).toEqual(Array.from({ length: Number(row!.last_sequence) }, (_, index) => index + 1))
  expect(peers.events.every(({ producer }) => producer === 'metadata')).toBe(true)
})
