// The one way a service opens its schema of the database.
import { Migrator, type Migration } from '@mikro-orm/migrations'
import { MikroORM, type EntityManager, type Options } from '@mikro-orm/postgresql'
import { translateFault } from './faults.ts'

export type Database = MikroORM
export type { EntityManager }

interface DatabaseOptions extends StoreOptions {
  /** The service's schema. */
  schema: string
  /** Role taken on by every connection, so that the service has no more rights than it needs. */
  role?: string
  entities: NonNullable<Options['entities']>
  migrations: (new (...args: ConstructorParameters<typeof Migration>) => Migration)[]
}

/** Services may share a database, each with a schema of its own. */
const SCHEMAS = ['metadata', 'artifact', 'audit', 'public']

export interface ServiceStore {
  /** The store as the running service sees it: with the rights of its role. */
  openStore: (options: StoreOptions) => Database
  /** The store as its owner, for migrations. */
  openOwnedStore: (options: StoreOptions) => Database
}

export interface StoreOptions {
  /** `postgresql://user:password@host:port/database?sslmode=…`. */
  url: string
  /** Most connections held at a time. Default 10. */
  poolSize?: number
}

/** The store of a service, whose role is named after its schema. */
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

/** What is used of `pg`, which brings no types. */
interface ConnectionPool {
  options: object
  on(event: 'connect', take: (client: PooledConnection) => void): void
}
interface PooledConnection {
  once(event: 'end', take: () => void): void
  release(broken: boolean): void
}

/** A statement is cancelled over a connection of its own, which is made with the enumerable options only. It must not
 * take on the service's role: only the user who opened a session may cancel what it does. */
function preparePool(pool: ConnectionPool): void {
  Object.defineProperty(pool.options, 'options', { enumerable: false })
  pool.on('connect', giveBackWhenBroken)
}

/** A connection that breaks in a transaction is given back by nobody, because the rollback fails first: without this,
 * every one would cost the pool a place until the process has no connections at all. */
function giveBackWhenBroken(client: PooledConnection): void {
  client.once('end', () =>
    setTimeout(() => {
      try {
        client.release(true)
      } catch {
        // It was given back by its holder, or was idle.
      }
    }, GIVE_BACK_AFTER_MS).unref(),
  )
}

/** Time for a holder that does give it back: twice would be an error there. */
const GIVE_BACK_AFTER_MS = 500

/** Runs `work` in one transaction on a fork of its own; the database's refusals come out as
 * `ModelkeepError`s. A cancelled call cancels its SQL. */
export async function inTransaction<T>(
  database: Database,
  signal: AbortSignal | undefined,
  work: (em: EntityManager) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const em = forkFor(database, signal)
  return em.transactional((tx) => work(tx)).catch(translateFault)
}

/** A fork for reads outside a transaction. */
export function forkFor(database: Database, signal?: AbortSignal): EntityManager {
  const options = signal ? { signal, inflightQueryAbortStrategy: 'cancel query' as const } : {}
  return database.em.fork(options)
}
