import { afterAll, expect, test } from 'vitest'
import { openOwnedStore as openArtifact } from '../../services/artifact/store/orm.ts'
import { openOwnedStore as openAudit } from '../../services/audit/store/orm.ts'
import { openOwnedStore as openMetadata } from '../../services/metadata/store/orm.ts'
import { createDatabase } from '../support/database.ts'

const database = await createDatabase()
afterAll(() => database.drop())

test.each([
  ['metadata', openMetadata],
  ['artifact', openArtifact],
  ['audit', openAudit],
])('the entities of %s agree with the schema of its migrations', async (_name, open) => {
  const store = open({ url: database.url })
  try {
    expect(await store.schema.getUpdateSchemaSQL({ wrap: false })).toBe('')
  } finally {
    await store.close(true)
  }
})
