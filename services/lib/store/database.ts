// Opens a service's schema of the database.
import { Migrator, type Migration } from '@mikro-orm/migrations'
import { MikroORM, type EntityManager, type Options } from '@mikro-orm/postgresql'
import { translateFault } from './faults.ts'
import { beginWith, preparePool } from './pool.ts'

export type Database = MikroORM
export type { EntityManager }

interface DatabaseOptions extends StoreOptions {
  /** Schema of the service. */
  schema: string
  /** Role that every connection assumes, so that the service has only the rights it needs. */
  role?: string
  entities: NonNullable<Options['entities']>
  migrations: (new (...args: ConstructorParameters<typeof Migration>) => Migration)[]
}

/** Services may share a database; each has its own schema. */
const SCHEMAS = ['metadata', 'artifact', 'audit', 'public']

export interface ServiceStore {
  /** Opens the database with the rights of the service's role. */
  openStore: (options: StoreOptions) => Database
  /** Opens the database as its owner, for migrations. */
  openOwnedStore: (options: StoreOptions) => Database
}

export interface StoreOptions {
  /** `postgresql://user:password@host:port/database?sslmode=…`. */
  url: string
  /** Maximum number of connections. Default 10. */
  poolSize?: number
}

/** Defines the store of a service. Its role is named after its schema. */
export function defineStore(store: Pick<DatabaseOptions, 'schema' | 'entities' | 'migrations'>): ServiceStore {
  return {
    openStore: (options) => openDatabase({ ...store, ...options, role: `modelkeep_${store.schema}` }),
    openOwnedStore: (options) => openDatabase({ ...store, ...options }),
  }
}

const DEFAULT_SIZE = 10

function openDatabase(options: DatabaseOptions): Database {
  const { poolSize = DEFAULT_SIZE } = options
  const settings = [`search_path=${options.schema}`, 'TimeZone=UTC']
  if (options.role) settings.push(`role=${options.role}`)
  return new MikroORM({
    clientUrl: options.url,
    schema: options.schema,
    entities: options.entities,
    extensions: [Migrator],
    pool: { min: 0, max: poolSize },
    driverOptions: {
      options: settings.map((setting) => `-c ${setting}`).join(' '),
      onPoolCreated: preparePool(poolSize),
    },
    migrations: {
      migrationsList: options.migrations.map((migration) => ({ name: migration.name, class: migration })),
      schema: options.schema,
      tableName: 'migration',
      allOrNothing: true,
      snapshot: false,
    },
    schemaGenerator: {
      ignoreTriggers: true,
      ignoreSchema: SCHEMAS.filter((schema) => schema !== options.schema),
      skipTables: [`${options.schema}.migration`, 'migration'],
    },
    forceUtcTimezone: true,
    allowGlobalContext: false,
    discovery: { warnWhenNoEntities: false },
    logger: () => {},
  })
}

/** Runs `work` in one transaction on its own fork. Database errors become `ModelkeepError`s where `faults.ts` lists them.
 * Aborting `signal` cancels the running statement. */
export async function inTransaction<T>(
  database: Database,
  signal: AbortSignal | undefined,
  work: (em: EntityManager) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const em = forkFor(database, signal)
  return beginWith(signal, () => em.transactional((tx) => work(tx))).catch(translateFault)
}

/** Returns a fork for reads outside a transaction. */
export function forkFor(database: Database, signal?: AbortSignal): EntityManager {
  const options = signal ? { signal, inflightQueryAbortStrategy: 'cancel query' as const } : {}
  return database.em.fork(options)
}
