import { defineStore } from '#lib/store/database.ts'
import { ENTITIES } from './entities.ts'
import { MIGRATIONS } from './migrations/index.ts'

export const { openStore, openOwnedStore } = defineStore({
  schema: 'artifact',
  entities: ENTITIES,
  migrations: MIGRATIONS,
})
