// The models on which the benchmark works.
import { randomUUID } from 'node:crypto'
import { forkFor } from '#lib/store/database.ts'
import { openOwnedStore } from '../../../services/metadata/store/orm.ts'
import { insertVersions } from './registry.ts'

export interface Subject {
  model: string
  modelId: string
  /** Number of its versions. */
  count: number
}

/** Inserts a model with versions, of which the alias `production` names the middle one. */
export async function insertSubject(databaseUrl: string, model: string, count: number): Promise<Subject> {
  const modelId = randomUUID()
  const store = openOwnedStore({ url: databaseUrl })
  try {
    await forkFor(store).transactional(async (em) => {
      // This disables the triggers that require events.
      await em.execute('set local session_replication_role = replica')
      await em.execute(
        `insert into model (id, namespace, name, name_key, description, owner, labels, state, creator)
          values (?, 'default', ?, ?, '', '', '{}', 'ACTIVE', 'admin')`,
        [modelId, model, model],
      )
    })
    await insertVersions(databaseUrl, modelId, count)
    await forkFor(store).transactional(async (em) => {
      await em.execute('set local session_replication_role = replica')
      await em.execute(
        `insert into alias (id, model_id, name, number, version_id, mover, move_time, reason)
          select gen_random_uuid(), model_id, 'production', number, id, 'admin', now(), '' from version
          where model_id = ? and number = ?`,
        [modelId, Math.ceil(count / 2)],
      )
    })
  } finally {
    await store.close(true)
  }
  return { model, modelId, count }
}
