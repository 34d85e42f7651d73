// Evaluations of versions, over RPC.
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { Verdict, type Evaluation } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { evaluationCalls, PASSED, type Facts } from '../../support/evaluation-calls.ts'
import {
  byId,
  byName,
  makeModel,
  newDigest,
  newName,
  numbered,
  selected,
  startMetadata,
} from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata
const { add, list } = evaluationCalls(admin)

test('returns an evaluation with its version and the digest of the manifest', async () => {
  const name = newName('Measured')
  const [digest] = await makeModel(admin, name, 1)
  const facts: Facts = {
    suite: 'fairness',
    verdict: Verdict.FAILED,
    metrics: [{ name: 'auc', value: 0.94, dataset: 'holdout', split: 'women' }],
    dataset: { name: 'holdout', uri: 's3://data/holdout', digest: 'md5:1' },
    runner: 'pytest 9.1',
    runUri: 'https://ci.example/7',
    reportUri: 'https://ci.example/7/report',
    reportDigest: newDigest(),
    summary: '# Worse for some\n\nSee the report.',
  }
  const made = await add(name.toUpperCase(), facts)
  const { version } = await admin.versions.resolveVersion({ ref: selected(name, { case: 'number', value: 1 }) })
  expect(made).toMatchObject({
    versionId: version!.id,
    modelId: version!.modelId,
    namespace: 'default',
    model: name,
    number: 1,
    digest,
    facts,
    creator: 'admin',
  })
  const { evaluation } = await admin.evaluations.getEvaluation({ id: made.id.toUpperCase() })
  expect(evaluation).toEqual(made)
  expect((await list(name)).evaluations).toEqual([made])
  const other = await admin.evaluations.createEvaluation({ version: byId(version!.id), facts: PASSED })
  expect(other.evaluation).toMatchObject({ versionId: version!.id, digest })
})

test('emits one event per evaluation, with suite, verdict and digests', async () => {
  const name = newName()
  const [digest] = await makeModel(admin, name, 1)
  const dataset = { name: 'holdout', digest: 'sha1:2' }
  const request = {
    version: numbered(name, 1),
    facts: { ...PASSED, dataset, reportDigest: newDigest() },
    requestId: randomUUID(),
  }
  let made: Evaluation | undefined
  const events = await metadata.eventsOf(async () => {
    made = (await admin.evaluations.createEvaluation(request)).evaluation
    expect((await metadata.replica.evaluations.createEvaluation(request)).evaluation).toEqual(made)
  })
  expect(events).toHaveLength(1)
  expect(events[0]).toMatchObject({
    type: 'evaluation.created.v1',
    actor: { principal: 'admin' },
    resource: { type: 'evaluation', id: made!.id, namespace: 'default', name: `default/${name}:1`, digest },
    afterDigest: expect.stringMatching(/^sha256:/) as string,
    details: {
      version_id: made!.versionId,
      number: 1,
      suite: 'smoke',
      verdict: 'PASSED',
      dataset_digest: 'sha1:2',
      report_digest: request.facts.reportDigest,
    },
  })
  expect((await list(name)).evaluations).toHaveLength(1)
  const changed = { ...request, facts: { ...request.facts, verdict: Verdict.FAILED } }
  expect(await refusalOf(admin.evaluations.createEvaluation(changed))).toMatchObject({ reason: 'REQUEST_ID_REUSED' })
  const [failed] = await metadata.eventsOf(() => add(name, { suite: 'smoke', verdict: Verdict.FAILED }))
  expect(failed!.details).toMatchObject({ verdict: 'FAILED', dataset_digest: '', report_digest: '' })
  expect(failed!.afterDigest).not.toBe(events[0]!.afterDigest)
})

test('rejects a row without an event in the database', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const insert = metadata.sql(`insert into metadata.evaluation
    (id, version_id, suite, facts, message_bytes, creator, create_time)
    select gen_random_uuid(), id, 's', '{}', 1, 'x', now() from metadata.version limit 1`)
  await expect(insert).rejects.toThrow(/event/)
})

test('accepts evaluations of an archived model, and deletes those of a deleted version', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  const gone = await add(name, PASSED, 2)
  const kept = await add(name)
  await admin.models.archiveModel({ model: byName(name) })
  const late = await add(name)
  const [event, ...others] = await metadata.eventsOf(() => admin.versions.deleteVersion({ version: numbered(name, 2) }))
  expect([event!.type, others]).toEqual(['version.deleted.v1', []])
  expect(await refusalOf(admin.evaluations.getEvaluation({ id: gone.id }))).toMatchObject({
    reason: 'EVALUATION_NOT_FOUND',
  })
  for (const version of [numbered(name, 2), byId(gone.versionId)]) {
    const again = admin.evaluations.createEvaluation({ version, facts: PASSED })
    expect(await refusalOf(again)).toMatchObject({ reason: 'VERSION_NOT_FOUND' })
  }
  expect((await list(name)).evaluations).toEqual([late, kept])
  await admin.models.deleteModel({ model: byName(name) })
  expect(await refusalOf(admin.evaluations.getEvaluation({ id: kept.id }))).toMatchObject({ code: 'NotFound' })
  const rows = await metadata.sql(`select from metadata.evaluation where version_id = '${kept.versionId}'`)
  expect(rows).toEqual([])
})

test('returns the first answer to a repeated call, also after the version is deleted', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const version = (await add(name)).versionId
  const request = { version: byId(version), facts: PASSED, requestId: randomUUID() }
  const first = await admin.evaluations.createEvaluation(request)
  await admin.versions.deleteVersion({ version: byId(version) })
  expect(await admin.evaluations.createEvaluation(request)).toEqual(first)
})

test('lets readers read and contributors and approvers record, and hides evaluations from others', async () => {
  const namespace = newName('evals')
  await admin.namespaces.createNamespace({ name: namespace })
  const name = newName()
  await makeModel(admin, name, 1, namespace)
  const version = numbered(name, 1, namespace)
  const { evaluation: made } = await admin.evaluations.createEvaluation({ version, facts: PASSED })
  const create = { version: byId(made!.versionId), facts: PASSED }
  for (const role of ['CONTRIBUTOR', 'APPROVER', 'ADMIN'] as const) {
    const member = await metadata.member({ [namespace]: role })
    const { evaluation } = await member.evaluations.createEvaluation(create)
    expect(evaluation!.creator).toBe(member.principal)
  }
  const reader = await metadata.member({ [namespace]: 'READER' })
  expect((await reader.evaluations.getEvaluation({ id: made!.id })).evaluation).toEqual(made)
  expect((await reader.evaluations.listEvaluations({ version: byId(made!.versionId) })).evaluations).toHaveLength(4)
  expect(await refusalOf(reader.evaluations.createEvaluation(create))).toMatchObject({ reason: 'PERMISSION_DENIED' })
  const stranger = await metadata.member({ default: 'ADMIN' })
  const hidden = (await admin.versions.resolveVersion({ ref: byId(made!.versionId) })).version!.id
  for (const [call, reason] of [
    [() => stranger.evaluations.createEvaluation(create), 'VERSION_NOT_FOUND'],
    [() => stranger.evaluations.listEvaluations({ version: byId(hidden) }), 'VERSION_NOT_FOUND'],
    [() => stranger.evaluations.getEvaluation({ id: made!.id }), 'EVALUATION_NOT_FOUND'],
  ] as const) {
    expect(await refusalOf(call())).toMatchObject({ code: 'NotFound', reason })
  }
  for (const call of [
    () => stranger.evaluations.createEvaluation({ version, facts: PASSED }),
    () => stranger.evaluations.listEvaluations({ version: selected(name, { case: 'number', value: 1 }, namespace) }),
  ]) {
    expect(await refusalOf(call())).toMatchObject({ reason: 'PERMISSION_DENIED', metadata: { namespace } })
  }
})

test('logs no internal error', () => {
  expect(metadata.logs.filter((line) => line.includes('"message":"internal error"'))).toEqual([])
})
