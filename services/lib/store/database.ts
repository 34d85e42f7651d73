// Opens a service's schema of the database.
import { Migrator, type Migration } from '@mikro-orm/migrations'
import { MikroORM, type EntityManager, type Options } from '@mikro-orm/postgresql'
import { translateFault } from './faults.ts'

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

function openDatabase(options: DatabaseOptions): Database {
  const settings = [`search_path=${options.schema}`, 'TimeZone=UTC']
  if (options.role) settings.push(`role=${options.role}`)
  return new MikroORM({
    clientUrl: options.url,
    schema: options.schema,
    entities: options.entities,
    extensions: [Migrator],
    pool: { min: 0, max: options.poolSize ?? 10 },
    driverOptions: {
      options: settings.map((setting) => `-c ${setting}`).join(' '),
      onPoolCreated: preparePool,
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

/** The parts of `pg` that are used here; the package has no types. */
interface ConnectionPool {
  options: object
  on(event: 'connect', take: (client: PooledConnection) => void): void
}
interface PooledConnection {
  once(event: 'end', take: () => void): void
  release(broken: boolean): void
}

/** MikroORM cancels a statement over a new connection, created from the enumerable options. That connection must not
 * assume the service's role, because only the user who opened a session may cancel its statements. */
function preparePool(pool: ConnectionPool): void {
  Object.defineProperty(pool.options, 'options', { enumerable: false })
  pool.on('connect', releaseWhenBroken)
}

/** Releases a connection that broke in a transaction. MikroORM does not, because its rollback fails first; each such
 * connection would occupy a place in the pool for good. */
function releaseWhenBroken(client: PooledConnection): void {
  client.once('end', () =>
    setTimeout(() => {
      try {
        client.release(true)
      } catch {
        // The holder has released it, or it was idle.
      }
    }, RELEASE_AFTER_MS).unref(),
  )
}

/** Leaves a holder that does release the connection the time to do so: a second release there would throw. */
const RELEASE_AFTER_MS = 500

/** Runs `work` in one transaction on its own fork. Database errors become `ModelkeepError`s where `faults.ts` lists them.
 * Aborting `signal` cancels the running statement. */
export async function inTransaction<T>(
  database: Database,
  signal: AbortSignal | undefined,
  work: (em: EntityManager) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const em = forkFor(database, signal)
  return em.transactional((tx) => work(tx)).catch(translateFault)
}

/** Returns a fork for reads outside a transaction. */
export function forkFor(database: Database, signal?: AbortSignal): EntityManager {
  const options = signal ? { signal, inflightQueryAbortStrategy: 'cancel query' as const } : {}
  return database.em.fork(options)
}
