// Permissions: every RPC of the registry, called with every role.
import { beforeAll, expect, test } from 'vitest'
import {
  byId,
  byName,
  makeModel,
  newDigest,
  numbered,
  pointTo,
  selected,
  startMetadata,
  type Clients,
} from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

const ROLES = ['NONE', 'READER', 'CONTRIBUTOR', 'APPROVER', 'ADMIN'] as const
type RoleName = (typeof ROLES)[number]
const callers = {} as Record<RoleName, Clients>
let modelId = ''
let versionId = ''

beforeAll(async () => {
  for (const name of ['room', 'elsewhere']) await admin.namespaces.createNamespace({ name })
  await makeModel(admin, 'scorer', 2, 'room')
  const { model } = await admin.models.getModel({ model: byName('scorer', 'room') })
  modelId = model!.id
  const { versions } = await admin.versions.listVersions({ model: byName('scorer', 'room') })
  versionId = versions[0]!.id
  // All callers administer another namespace, so the first check lets them pass.
  for (const role of ROLES) {
    callers[role] = await metadata.member({ elsewhere: 'ADMIN', ...(role === 'NONE' ? {} : { room: role }) })
  }
})

const model = byName('scorer', 'room')
const mask = { updateMask: { paths: ['description'] } }
const target = pointTo('production', 1, 9)

/** Calls that change nothing: they read, or fail for another reason once they are allowed. */
const BY_NAME: [string, RoleName, (clients: Clients) => Promise<unknown>][] = [
  ['GetNamespace', 'READER', ({ namespaces }) => namespaces.getNamespace({ name: 'room' })],
  ['UpdateNamespace', 'ADMIN', ({ namespaces }) => namespaces.updateNamespace({ name: 'room', etag: 'stale' })],
  ['CreateModel', 'CONTRIBUTOR', ({ models }) => models.createModel({ name: 'SCORER', namespace: 'room' })],
  ['GetModel', 'READER', ({ models }) => models.getModel({ model })],
  ['ListModels', 'READER', ({ models }) => models.listModels({ namespace: 'room' })],
  ['UpdateModel', 'CONTRIBUTOR', ({ models }) => models.updateModel({ model, ...mask, etag: 'stale' })],
  ['RenameModel', 'ADMIN', ({ models }) => models.renameModel({ model, newName: 'x', etag: 'stale' })],
  ['ArchiveModel', 'ADMIN', ({ models }) => models.archiveModel({ model, etag: 'stale' })],
  ['UnarchiveModel', 'ADMIN', ({ models }) => models.unarchiveModel({ model, etag: 'stale' })],
  ['DeleteModel', 'ADMIN', ({ models }) => models.deleteModel({ model })],
  [
    'CreateVersion',
    'CONTRIBUTOR',
    ({ versions }) => versions.createVersion({ model: byName('absent', 'room'), manifestDigest: newDigest() }),
  ],
  [
    'ResolveVersion',
    'READER',
    ({ versions }) => versions.resolveVersion({ ref: selected('scorer', { case: 'number', value: 1 }, 'room') }),
  ],
  ['ListVersions', 'READER', ({ versions }) => versions.listVersions({ model })],
  [
    'UpdateVersion',
    'CONTRIBUTOR',
    ({ versions }) => versions.updateVersion({ version: numbered('scorer', 1, 'room'), ...mask, etag: 'stale' }),
  ],
  [
    'DeleteVersion',
    'ADMIN',
    ({ versions }) => versions.deleteVersion({ version: numbered('scorer', 1, 'room'), etag: 'stale' }),
  ],
  ['SetAliases', 'CONTRIBUTOR', ({ aliases }) => aliases.setAliases({ model, targets: [target] })],
  [
    'RollbackAlias',
    'CONTRIBUTOR',
    ({ aliases }) => aliases.rollbackAlias({ model, name: 'production', expectedNumber: 1 }),
  ],
  ['ListAliases', 'READER', ({ aliases }) => aliases.listAliases({ model })],
  ['ListAliasMoves', 'READER', ({ aliases }) => aliases.listAliasMoves({ model })],
]

test.each(BY_NAME)(
  '%s requires %s where the namespace is given, and emits an event for a denial',
  async (_name, needed, call) => {
    for (const role of ROLES) {
      const events = await metadata.eventsOf(async () => {
        const denied = await isDenied(call(callers[role]))
        expect([role, denied]).toEqual([role, ROLES.indexOf(role) < ROLES.indexOf(needed)])
      })
      expect(events.map(({ type, outcome }) => [type, outcome])).toEqual(
        ROLES.indexOf(role) < ROLES.indexOf(needed) ? [['access.denied.v1', 'OUTCOME_DENIED']] : [],
      )
    }
  },
)

const BY_ID: [string, RoleName, (clients: Clients, model: string, version: string) => Promise<unknown>][] = [
  ['GetModel', 'READER', ({ models }, id) => models.getModel({ model: byId(id) })],
  ['UpdateModel', 'CONTRIBUTOR', ({ models }, id) => models.updateModel({ model: byId(id), ...mask, etag: 'stale' })],
  ['RenameModel', 'ADMIN', ({ models }, id) => models.renameModel({ model: byId(id), newName: 'x', etag: 'stale' })],
  ['ArchiveModel', 'ADMIN', ({ models }, id) => models.archiveModel({ model: byId(id), etag: 'stale' })],
  ['UnarchiveModel', 'ADMIN', ({ models }, id) => models.unarchiveModel({ model: byId(id), etag: 'stale' })],
  ['DeleteModel', 'ADMIN', ({ models }, id) => models.deleteModel({ model: byId(id), etag: 'stale' })],
  [
    'CreateVersion',
    'CONTRIBUTOR',
    ({ versions }, id) => versions.createVersion({ model: byId(id), manifestDigest: taken }),
  ],
  ['ResolveVersion', 'READER', ({ versions }, _, id) => versions.resolveVersion({ ref: byId(id) })],
  ['ListVersions', 'READER', ({ versions }, id) => versions.listVersions({ model: byId(id) })],
  [
    'UpdateVersion',
    'CONTRIBUTOR',
    ({ versions }, _, id) => versions.updateVersion({ version: byId(id), ...mask, etag: 'stale' }),
  ],
  ['DeleteVersion', 'ADMIN', ({ versions }, _, id) => versions.deleteVersion({ version: byId(id), etag: 'stale' })],
  ['SetAliases', 'CONTRIBUTOR', ({ aliases }, id) => aliases.setAliases({ model: byId(id), targets: [target] })],
  [
    'RollbackAlias',
    'CONTRIBUTOR',
    ({ aliases }, id) => aliases.rollbackAlias({ model: byId(id), name: 'production', expectedNumber: 1 }),
  ],
  ['ListAliases', 'READER', ({ aliases }, id) => aliases.listAliases({ model: byId(id) })],
  ['ListAliasMoves', 'READER', ({ aliases }, id) => aliases.listAliasMoves({ model: byId(id) })],
]
const taken = newDigest()
metadata.peers.missing.add(taken)

const UNKNOWN = '0191d3a0-0000-7000-8000-000000000000'

test.each(BY_ID)('%s answers for a foreign id as for an unknown one, and requires %s', async (_name, needed, call) => {
  const unknown = await refusalOf(call(callers.NONE, UNKNOWN, UNKNOWN))
  expect(unknown.code).toBe('NotFound')
  const foreign = await refusalOf(call(callers.NONE, modelId, versionId))
  const [id] = [unknown.message.includes('version') ? versionId : modelId]
  expect(foreign).toEqual(JSON.parse(JSON.stringify(unknown).replaceAll(UNKNOWN, id)))
  for (const role of ROLES.slice(1)) {
    const denied = await isDenied(call(callers[role], modelId, versionId))
    expect([role, denied]).toEqual([role, ROLES.indexOf(role) < ROLES.indexOf(needed)])
  }
})

const PLATFORM: [string, (clients: Clients) => Promise<unknown>][] = [
  ['CreateNamespace', ({ namespaces }) => namespaces.createNamespace({ name: 'room' })],
  ['DeleteNamespace', ({ namespaces }) => namespaces.deleteNamespace({ name: 'room' })],
]

test.each(PLATFORM)('%s requires an administrator of the installation', async (_name, call) => {
  for (const role of ROLES) expect(await isDenied(call(callers[role]))).toBe(true)
  expect(await isDenied(call(admin))).toBe(false)
})

test('lists only what the caller can read', async () => {
  const { NONE, READER } = callers
  expect((await NONE.models.listModels({})).models).toEqual([])
  expect((await NONE.versions.listVersions({})).versions).toEqual([])
  expect((await NONE.namespaces.listNamespaces({})).namespaces.map(({ name }) => name)).toEqual(['elsewhere'])
  expect((await READER.models.listModels({})).models.map(({ id }) => id)).toEqual([modelId])
  expect((await READER.versions.listVersions({})).versions).toHaveLength(2)
})

test('denies a caller who can read no namespace', async () => {
  const nobody = await metadata.member({})
  expect(await refusalOf(nobody.models.listModels({}))).toMatchObject({
    code: 'PermissionDenied',
    reason: 'PERMISSION_DENIED',
    metadata: { permission: 'READ' },
  })
})

test('denies a missing namespace like any other', async () => {
  const denied = await refusalOf(callers.READER.models.getModel({ model: byName('x', 'nowhere') }))
  expect(denied).toMatchObject({ reason: 'PERMISSION_DENIED', metadata: { permission: 'READ', namespace: 'nowhere' } })
})

async function isDenied(call: Promise<unknown>): Promise<boolean> {
  try {
    await call
    return false
  } catch (error) {
    const { reason } = await refusalOf(Promise.reject(error))
    expect(reason).not.toBe('INTERNAL')
    return reason === 'PERMISSION_DENIED'
  }
}
