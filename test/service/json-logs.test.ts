// A service process writes only JSON, even if a library prints to the console.
import { afterAll, expect, test } from 'vitest'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { inTransaction } from '#lib/store/database.ts'
import { createAdminToken } from '../../services/metadata/admin-token.ts'
import { openOwnedStore, openStore } from '../../services/metadata/store/orm.ts'
import { createDatabase } from '../support/database.ts'
import { refusalOf } from '../support/refusal.ts'
import { startFakePeers } from '../support/fake-peers.ts'
import { grpcClient, startProcess } from '../support/suite.ts'

const testDatabase = await createDatabase()
const database = openStore({ url: testDatabase.url })
const owned = openOwnedStore({ url: testDatabase.url })
const peers = await startFakePeers()
const running = await startProcess('metadata', {
  PORT: '0',
  DATABASE_URL: testDatabase.url,
  SERVICE_TOKEN: `mks_${'m'.repeat(43)}`,
  TRUSTED_SERVICES: `audit=${'0'.repeat(64)}`,
  ARTIFACT_ADDRESS: peers.address,
  AUDIT_ADDRESS: peers.address,
})
const models = grpcClient(ModelService, running.address, await createAdminToken(database))
afterAll(async () => {
  await running.kill()
  await peers.close()
  await Promise.all([database.close(true), owned.close(true)])
  await testDatabase.drop()
})

const LOCK = 'lock table model in access exclusive mode'
const options = { timeoutMs: 300 }
const STATEMENT_CANCELED = '`query` failed in the background after abortion'
const STATEMENT_ENDED_FIRST = '`inflightQueryAbortHandler` failed in the background after abortion'

/** Makes calls that wait for the lock until their deadlines pass. */
async function callsInVain(): Promise<void> {
  const calls = [
    models.listModels({}, options),
    models.createModel({ name: 'second' }, options),
    models.getModel({ model: { ref: { case: 'name', value: { model: 'first' } } } }, options),
  ]
  const codes = await Promise.all(calls.map(async (call) => (await refusalOf(call)).code))
  expect(codes).toEqual(calls.map(() => 'DeadlineExceeded'))
}

const logged = (text: string): boolean => running.logs.some((line) => line.includes(text))

function expectJson(): void {
  for (const line of running.logs) {
    expect(line).toMatch(/^\{.*\}$/)
    expect(JSON.parse(line)).toMatchObject({ service: 'metadata', message: expect.any(String) as string })
  }
}

test('a process logs what a library prints about a cancelled statement as JSON', async () => {
  await inTransaction(owned, undefined, async (em) => {
    await em.execute(LOCK)
    await callsInVain()
    await expect.poll(() => logged(STATEMENT_CANCELED)).toBe(true)
  })
  expectJson()
})

test('a process logs what a library prints about a statement that ended before its cancellation as JSON', async () => {
  for (let round = 0; round < 20 && !logged(STATEMENT_ENDED_FIRST); round += 1) {
    await inTransaction(owned, undefined, async (em) => {
      await em.execute(LOCK)
      await callsInVain()
    })
    await models.listModels({})
  }
  expect(logged(STATEMENT_ENDED_FIRST)).toBe(true)
  expectJson()
})
