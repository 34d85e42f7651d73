// The artifact service as a process that stops at one step (FREEZE_AT) and reports it, so that a test can kill it there. It
// also reports its calls to the store. The service is the real one; only the functions that it calls are wrapped.
import { SqlEntityManager } from '@mikro-orm/sql'
import { DefaultQueryExecutor, type CompiledQuery } from 'kysely'
import { AsyncLocalStorage } from 'node:async_hooks'
import { DirectoryStore } from '../../services/artifact/store/directory/directory-store.ts'
import { S3Store } from '../../services/artifact/store/s3/s3-store.ts'
import { runArtifact } from '../../services/artifact/main.ts'

const at = process.env['FREEZE_AT'] ?? ''

function logMessage(message: string, key = ''): void {
  process.stderr.write(`${JSON.stringify({ message, key })}\n`)
}

async function pass(step: string): Promise<void> {
  if (step !== at) return
  logMessage('frozen')
  await new Promise(() => {})
}

type Work = (...args: unknown[]) => Promise<unknown>

function wrap(
  prototype: object,
  name: string,
  around: (work: () => Promise<unknown>, args: unknown[]) => Promise<unknown>,
) {
  const work = Reflect.get(prototype, name) as Work
  Object.defineProperty(prototype, name, {
    configurable: true,
    writable: true,
    value(this: unknown, ...args: unknown[]) {
      return around(() => work.apply(this, args), args)
    },
  })
}

function freezeStore(prototype: S3Store | DirectoryStore): void {
  for (const name of ['begin', 'putPart', 'complete', 'put'] as const) {
    wrap(prototype, name, async (work, [first]) => {
      await pass(`before ${name}`)
      if (name === 'complete') logMessage('complete', String(first))
      const result = await work()
      await pass(`after ${name}`)
      return result
    })
  }
  const read = prototype.read
  Object.defineProperty(prototype, 'read', {
    value: async function* (this: S3Store, ...args: Parameters<S3Store['read']>) {
      for await (const chunk of read.apply(this, args)) {
        yield chunk
        await pass('in read')
      }
    },
  })
}

/** Database steps: they stop after this statement, or after the commit of its transaction. */
const STATEMENTS: [string, RegExp][] = [
  ['part recorded', /insert into upload_part/],
  ['sealed', /^update "artifact"\."upload" set "state" = .*"epoch" = /],
  ['committed', /insert into ("artifact"\."namespace_blob"|namespace_blob)/],
]

function freezeDatabase(): void {
  const transactions = new AsyncLocalStorage<string[]>()
  // Statements of entities pass here, too.
  wrap(DefaultQueryExecutor.prototype, 'executeQuery', async (work, [query]) => {
    const result = await work()
    const { sql, parameters } = query as CompiledQuery
    // The same statement begins and ends an upload in one stream.
    const endsNone = parameters.some((value) => Array.isArray(value) && value.length === 0)
    if (sql.startsWith('with begun') && endsNone) return result
    for (const [step, statement] of STATEMENTS) {
      if (!statement.test(sql)) continue
      const steps = transactions.getStore()
      if (steps) steps.push(step)
      else await pass(step)
    }
    return result
  })
  wrap(SqlEntityManager.prototype, 'transactional', async (work) => {
    const steps: string[] = []
    const result = await transactions.run(steps, work)
    for (const step of steps) await pass(step)
    return result
  })
}

freezeStore(S3Store.prototype)
freezeStore(DirectoryStore.prototype)
freezeDatabase()
await runArtifact(process.env)
