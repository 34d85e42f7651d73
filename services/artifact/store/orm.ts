import { openDatabase, type Database } from '#lib/store/database.ts'
import { ENTITIES } from './entities.ts'
import { MIGRATIONS } from './migrations/index.ts'

export const SCHEMA = 'artifact'
export const ROLE = 'modelkeep_artifact'

export interface StoreOptions {
  url: string
  poolSize?: number
}

/** The store as the running service sees it: with the rights of its role. */
export function openStore(options: StoreOptions): Database {
  return openDatabase({ ...options, schema: SCHEMA, role: ROLE, entities: ENTITIES, migrations: MIGRATIONS })
}

/** The store as its owner, for migrations. */
export function openOwnedStore(options: StoreOptions): Database {
  return openDatabase({ ...options, schema: SCHEMA, entities: ENTITIES, migrations: MIGRATIONS })
}
