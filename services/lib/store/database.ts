// Opens a service's schema of the database.
import { Migrator, type Migration } from '@mikro-orm/migrations'
import { MikroORM, type EntityManager, type Options } from '@mikro-orm/postgresql'
import { translateFault } from './faults.ts'
import { beginWith, preparePool } from './pool.ts'

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
  /** Maximum number of connections for calls. Default 10. */
  poolSize?: number
  /** Time limit of a statement of a call, in milliseconds; 0 for none. Default 60,000. */
  statementMs?: number
  /** Time limit of a statement with a caller's filter, in milliseconds; 0 for none. Default 5,000. */
  filterMs?: number
}

/** Defines the store of a service. Its role is named after its schema. */
export function defineStore(store: Pick<DatabaseOptions, 'schema' | 'entities' | 'migrations'>): ServiceStore {
  return {
    openStore: (options) => new Database({ ...store, ...options, role: `modelkeep_${store.schema}` }),
    // A migration may take as long as it needs.
    openOwnedStore: (options) => new Database({ ...store, ...options, statementMs: 0 }),
  }
}

interface PoolSettings {
  name: string
  size: number
  /** Time limit of a statement; 0 for none. */
  statementMs: number
  /** Whether one principal gets a share of the connections only. */
  hasShares?: boolean
}

const DEFAULT_SIZE = 10
const DEFAULT_STATEMENT_MS = 60_000
const DEFAULT_FILTER_MS = 5_000
/** A token or a health check is read within milliseconds, unless the database is in trouble. */
const SMALL_STATEMENT_MS = 5_000

/** The database of a service: a pool of connections for its calls, and small separate pools for work that must not wait for
 * calls. Connections are opened when they are needed, and closed when they are idle. */
export class Database extends MikroORM {
  readonly #options: DatabaseOptions
  readonly #beside = new Map<string, Database>()

  constructor(options: DatabaseOptions, pool = poolOfCalls(options)) {
    super(configure(options, pool))
    this.#options = options
  }

  /** The pool of reads with a caller's filter, which may be as costly as their time limit allows. */
  get searches(): Database {
    const { poolSize = DEFAULT_SIZE, filterMs = DEFAULT_FILTER_MS } = this.#options
    return this.#open({ name: 'searches', size: Math.ceil(poolSize / 2), statementMs: filterMs, hasShares: true })
  }

  /** The pool of background jobs, and of the few calls whose statements have no time limit. */
  get jobs(): Database {
    return this.#open({ name: 'jobs', size: 4, statementMs: 0 })
  }

  /** The pool of the authentication of callers. */
  get identity(): Database {
    return this.#open({ name: 'identity', size: 2, statementMs: SMALL_STATEMENT_MS })
  }

  /** The pool of health checks. */
  get health(): Database {
    return this.#open({ name: 'health', size: 2, statementMs: SMALL_STATEMENT_MS })
  }

  override async close(force?: boolean): Promise<void> {
    await Promise.all([...this.#beside.values()].map((database) => database.close(force)))
    await super.close(force)
  }

  #open(pool: PoolSettings): Database {
    const known = this.#beside.get(pool.name)
    if (known) return known
    const database = new Database(this.#options, pool)
    this.#beside.set(pool.name, database)
    return database
  }
}

function poolOfCalls({ poolSize = DEFAULT_SIZE, statementMs = DEFAULT_STATEMENT_MS }: DatabaseOptions): PoolSettings {
  return { name: 'calls', size: poolSize, statementMs, hasShares: true }
}

function configure(options: DatabaseOptions, { name, size, statementMs, hasShares = false }: PoolSettings): Options {
  const settings = [`search_path=${options.schema}`, 'TimeZone=UTC', `statement_timeout=${statementMs}`]
  settings.push(`application_name=modelkeep_${options.schema}_${name}`)
  if (options.role) settings.push(`role=${options.role}`)
  return {
    clientUrl: options.url,
    schema: options.schema,
    entities: options.entities,
    extensions: [Migrator],
    pool: { min: 0, max: size },
    driverOptions: {
      options: settings.map((setting) => `-c ${setting}`).join(' '),
      onPoolCreated: preparePool(size, hasShares),
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
  }
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
