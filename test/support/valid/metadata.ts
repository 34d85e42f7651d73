// A valid request of each RPC of the metadata service, with every field filled in.
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { createHash, randomUUID } from 'node:crypto'
import { AliasService } from '../../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { Verdict } from '../../../gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { EvaluationService } from '../../../gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { DatasetRole, ParentRelation } from '../../../gen/modelkeep/metadata/v1/facts_pb.ts'
import { Role } from '../../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { IdentityService } from '../../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '../../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '../../../gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { VersionService } from '../../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import {
  FIRST,
  makeManifest,
  makeModel,
  makeVersion,
  named,
  newName,
  SCORER,
  scorerBy,
  valid,
  type Valid,
  type World,
} from './world.ts'

const aliases = AliasService.method
const evaluations = EvaluationService.method
const identity = IdentityService.method
const models = ModelService.method
const namespaces = NamespaceService.method
const versions = VersionService.method

const why = () => ({ reason: 'because', requestId: randomUUID() })
const LABELS = { team: 'core' }
const METRIC = { name: 'f1', value: 0.9, dataset: 'noisy', split: 'test' }
const DATASET = { name: 'noisy', uri: 'https://data.example/noisy', digest: 'sha256:5d41402a' }
const TENSOR = { name: 'input', dataType: 'float32', shape: [-1n, 512n] }
const inAnHour = () => timestampFromMs(Date.now() + 3_600_000)

const facts = ({ versionId }: World) => ({
  source: { repository: 'https://github.com/snakers4/silero-vad', commit: '0123abcd', path: 'train', dirty: true },
  run: {
    id: 'run-1',
    uri: 'https://runs.example/1',
    framework: 'pytorch',
    frameworkVersion: '2.9.1',
    startTime: timestampFromMs(17e11),
    endTime: timestampFromMs(17000036e5),
  },
  parameters: [{ name: 'rate', value: { kind: { case: 'numberValue' as const, value: 0.1 } } }],
  metrics: [METRIC],
  datasets: [{ ...DATASET, role: DatasetRole.TRAIN }],
  parents: [{ versionId, relation: ParentRelation.DISTILLED }],
  signature: { inputs: [TENSOR], outputs: [TENSOR] },
  dependencies: [{ name: 'torch', version: '2.9.1' }],
  license: 'MIT',
})

const makeNamespace = async ({ admin }: World) =>
  (await admin(NamespaceService).createNamespace({ name: newName() })).namespace!

/** Returns a namespace that the request may change. */
async function findNamespace(world: World) {
  if (world.rooms === 'own') return makeNamespace(world)
  return (await world.admin(NamespaceService).getNamespace({ name: 'default' })).namespace!
}

async function makeArchived(world: World) {
  const model = named((await makeModel(world)).name)
  return (await world.admin(ModelService).archiveModel({ model })).model!
}

async function makeAlias(world: World) {
  const { model } = await makeVersion(world)
  const first = { name: 'production', target: { case: 'number' as const, value: 1 } }
  await world.admin(AliasService).setAliases({ model: named(model), targets: [first] })
  return model
}

/** Returns an alias that was moved from version 1 to version 2. */
async function makeMoved(world: World) {
  const model = await makeAlias(world)
  const manifestDigest = await makeManifest(world)
  await world.admin(VersionService).createVersion({ model: named(model), manifestDigest })
  const second = { name: 'production', target: { case: 'number' as const, value: 2 }, expectedNumber: 1 }
  await world.admin(AliasService).setAliases({ model: named(model), targets: [second] })
  return model
}

const makeToken = async ({ admin }: World) =>
  admin(IdentityService).createToken({ principal: 'somebody', expireTime: inAnHour() })

export const VALID_METADATA: Valid[] = [
  valid(namespaces.createNamespace, () => ({ name: newName(), description: 'a room', requestId: randomUUID() })),
  valid(namespaces.getNamespace, () => ({ name: 'default' })),
  valid(namespaces.listNamespaces, () => ({ pageSize: 10 })),
  valid(namespaces.updateNamespace, async (world) => {
    const { name, etag } = await findNamespace(world)
    return { name, description: 'another', etag, requestId: randomUUID() }
  }),
  valid(namespaces.deleteNamespace, async (world) => ({ name: (await makeNamespace(world)).name, ...why() })),

  valid(models.createModel, () => ({
    namespace: 'default',
    name: newName(),
    description: 'a model',
    owner: 'alice',
    labels: LABELS,
    requestId: randomUUID(),
  })),
  valid(models.getModel, () => ({ model: SCORER })),
  valid(models.listModels, () => ({ namespace: 'default', filter: 'name = scorer', orderBy: 'name', pageSize: 10 })),
  valid(models.updateModel, async (world) => {
    const { name, etag } = await makeModel(world)
    const change = { description: 'another', owner: 'bob', labels: LABELS }
    const updateMask = { paths: ['description', 'owner', 'labels'] }
    return { model: named(name), updateMask, ...change, etag, requestId: randomUUID() }
  }),
  valid(models.renameModel, async (world) => {
    const { name, etag } = await makeModel(world)
    return { model: named(name), newName: newName(), etag, ...why() }
  }),
  valid(models.archiveModel, async (world) => {
    const { name, etag } = await makeModel(world)
    return { model: named(name), etag, ...why() }
  }),
  valid(models.unarchiveModel, async (world) => {
    const { name, etag } = await makeArchived(world)
    return { model: named(name), etag, ...why() }
  }),
  valid(models.deleteModel, async (world) => {
    const { name, etag } = await makeArchived(world)
    return { model: named(name), etag, ...why() }
  }),

  valid(versions.createVersion, async (world) => ({
    model: named((await makeModel(world)).name),
    manifestDigest: world.manifest,
    semver: '1.2.3',
    facts: facts(world),
    description: 'a version',
    labels: LABELS,
    modelCard: '# Card',
    requestId: randomUUID(),
  })),
  {
    ...valid(versions.resolveVersion, () => ({ ref: scorerBy({ case: 'number', value: 1 }) })),
    verdicts: { 'at_time at the beginning of the year 1': 'refused' },
  },
  {
    ...valid(versions.resolveVersion, () => ({
      ref: scorerBy({ case: 'alias', value: 'champion' }),
      atTime: timestampFromMs(Date.now()),
    })),
    only: ['at_time'],
  },
  valid(versions.listVersions, () => ({
    model: SCORER,
    filter: 'semver = 1.0.0',
    orderBy: 'create_time desc',
    pageSize: 10,
  })),
  valid(versions.updateVersion, async (world) => {
    const { model, etag } = await makeVersion(world)
    const version = { ref: { case: 'name' as const, value: { namespace: 'default', model, number: 1 } } }
    const updateMask = { paths: ['description', 'labels', 'model_card'] }
    const change = { description: 'another', labels: LABELS, modelCard: '# Another' }
    return { version, updateMask, ...change, etag, requestId: randomUUID() }
  }),
  valid(versions.deleteVersion, async (world) => {
    const { model, etag } = await makeVersion(world)
    const version = { ref: { case: 'name' as const, value: { namespace: 'default', model, number: 1 } } }
    return { version, etag, ...why() }
  }),

  valid(aliases.setAliases, async (world) => ({
    model: named((await makeVersion(world)).model),
    targets: [{ name: 'staging', target: { case: 'number' as const, value: 1 }, expectedNumber: 0 }],
    ...why(),
  })),
  valid(aliases.rollbackAlias, async (world) => ({
    model: named(await makeMoved(world)),
    name: 'production',
    expectedNumber: 2,
    ...why(),
  })),
  valid(aliases.listAliases, () => ({ model: SCORER, pageSize: 10 })),
  valid(aliases.listAliasMoves, () => ({ model: SCORER, name: 'production', pageSize: 10 })),

  {
    ...valid(evaluations.createEvaluation, () => ({
      version: FIRST,
      facts: {
        suite: 'noise',
        verdict: Verdict.PASSED,
        metrics: [METRIC],
        dataset: DATASET,
        runner: 'pytest 9.1',
        runUri: 'https://ci.example/1',
        reportUri: 'https://ci.example/1.html',
        summary: 'fine',
        reportDigest: `sha256:${'a'.repeat(64)}`,
      },
      requestId: randomUUID(),
    })),
    verdicts: {
      'version.name.namespace a name that is nowhere': 'MODEL_NOT_FOUND',
      'version.name.model a name that is nowhere': 'MODEL_NOT_FOUND',
    },
  },
  valid(evaluations.getEvaluation, async ({ admin }) => {
    const request = { version: FIRST, facts: { suite: 'smoke', verdict: Verdict.FAILED } }
    return { id: (await admin(EvaluationService).createEvaluation(request)).evaluation!.id }
  }),
  valid(evaluations.listEvaluations, () => ({
    version: scorerBy({
      case: 'semver',
      value: '1.0.0',
    }),
    suite: 'noise',
    pageSize: 10,
  })),

  valid(identity.whoAmI, () => ({})),
  valid(identity.createToken, () => ({
    principal: 'alice',
    description: 'for CI',
    expireTime: inAnHour(),
    requestId: randomUUID(),
  })),
  valid(identity.listTokens, () => ({ principal: 'alice', pageSize: 10 })),
  valid(identity.revokeToken, async (world) => ({ id: (await makeToken(world)).token!.id, ...why() })),
  valid(identity.grantRole, () => ({ principal: newName(), namespace: 'default', role: Role.READER, ...why() })),
  valid(identity.revokeRole, async ({ admin }) => {
    const principal = newName()
    await admin(IdentityService).grantRole({ principal, role: Role.READER })
    return { principal, namespace: 'default', ...why() }
  }),
  valid(identity.listRoles, () => ({ namespace: 'default', pageSize: 10 })),
  valid(
    identity.authenticateToken,
    async (world) => ({
      tokenSha256: createHash('sha256')
        .update((await makeToken(world)).secret)
        .digest(),
    }),
    'mks_artifact',
  ),
]
