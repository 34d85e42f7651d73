// Reads and locks of one model. Every change of a model, its versions or its aliases locks the row of the model first.
import { LockMode } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { prepare, runPrepared } from '#lib/store/prepared.ts'
import { nameKey } from '../../domain/names.ts'
import type { ModelKey } from '../../domain/refs.ts'
import { Model, ModelRedirect } from './model.ts'
import { Tombstone } from './tombstone.ts'

type Options = { lockMode?: LockMode; populate?: ['aliases'] }

/** Returns the model with its aliases. */
export async function findModel(em: EntityManager, key: ModelKey): Promise<Model | null> {
  return findByKey(em, key, { populate: ['aliases'] })
}

/** The columns of a model that most calls need. */
export type ModelHead = Pick<Model, 'id' | 'namespace' | 'name' | 'state'>

const BY_NAME = sql`select id, namespace, name, state from model where namespace = $1 and name_key = $2`
const BY_ID = sql`select id, namespace, name, state from model where id = $1`

const HEAD = { byName: prepare<ModelHead>('model-head', BY_NAME), byId: prepare<ModelHead>('model-head-by-id', BY_ID) }
const LOCKED_HEAD = {
  byName: prepare<ModelHead>('locked-model-head', sql`${BY_NAME} for update`),
  byId: prepare<ModelHead>('locked-model-head-by-id', sql`${BY_ID} for update`),
}

/** Hot read of lists and of CreateVersion. */
export async function findModelHead(em: EntityManager, key: ModelKey): Promise<ModelHead | undefined> {
  return findHead(em, key, HEAD)
}

/** Hot read of SetAliases: locks the model. */
export async function lockModelHead(em: EntityManager, key: ModelKey): Promise<ModelHead | undefined> {
  return findHead(em, key, LOCKED_HEAD)
}

async function findHead(em: EntityManager, key: ModelKey, by: typeof HEAD): Promise<ModelHead | undefined> {
  if ('id' in key) return (await runPrepared(em, by.byId, [key.id]))[0]
  const [head] = await runPrepared(em, by.byName, [key.namespace, nameKey(key.model)])
  if (head) return head
  const former = await findRedirect(em, key)
  return former === undefined ? undefined : (await runPrepared(em, by.byId, [former]))[0]
}

/** Locks the model, and returns it without its aliases: they are read after the lock is held. */
export async function lockModel(em: EntityManager, key: ModelKey): Promise<Model | null> {
  return findByKey(em, key, { lockMode: LockMode.PESSIMISTIC_WRITE })
}

/** Reads the row and the aliases again, after a change. */
export async function reloadModel(em: EntityManager, model: Model): Promise<Model> {
  return em.refreshOrFail(model, { populate: ['aliases'] })
}

/** Finds a model by its present name or, if no model has that name, by a former name. */
async function findByKey(em: EntityManager, key: ModelKey, options: Options): Promise<Model | null> {
  const refreshed = { ...options, refresh: true }
  if ('id' in key) return em.findOne(Model, key.id, refreshed)
  const model = await em.findOne(Model, { namespace: key.namespace, nameKey: nameKey(key.model) }, refreshed)
  if (model) return model
  const id = await findRedirect(em, key)
  return id === undefined ? null : em.findOne(Model, id, refreshed)
}

/** Returns the id of the last model that had this name. */
export async function findRedirect(
  em: EntityManager,
  { namespace, model }: { namespace: string; model: string },
): Promise<string | undefined> {
  const redirect = await em.findOne(ModelRedirect, { namespace, nameKey: nameKey(model) })
  return redirect?.model
}

/** Returns the namespace of a model, also of a deleted one. */
export async function findNamespaceOfModel(em: EntityManager, id: string): Promise<string | undefined> {
  const model = await em.findOne(Model, id)
  if (model) return model.namespace
  const tombstone = await em.findOne(Tombstone, { id, type: 'model' })
  return tombstone?.namespace
}
