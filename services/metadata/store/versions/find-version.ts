// Reads and locks of one version.
import { LockMode } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'
import type { ExactVersionKey } from '../../domain/refs.ts'
import { findModel } from '../models/find-model.ts'
import { Model } from '../models/model.ts'
import { Tombstone } from '../models/tombstone.ts'
import { Version, VersionParent } from './version.ts'

/** Returns the version with its aliases and the name of its model. */
export async function findVersion(em: EntityManager, id: string): Promise<Version | null> {
  return em.findOne(Version, id, { populate: ['modelName', 'aliases'], refresh: true })
}

/** Locks the model of the version, then reads the version. */
export async function lockVersion(em: EntityManager, key: ExactVersionKey): Promise<Version | null> {
  const found = await findExactVersion(em, key)
  if (!found) return null
  await em.findOne(Model, found.model, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true })
  return findVersion(em, found.id)
}

async function findExactVersion(em: EntityManager, key: ExactVersionKey): Promise<Version | null> {
  if ('id' in key) return em.findOne(Version, key.id)
  const model = await findModel(em, key)
  return model && em.findOne(Version, { model: model.id, number: key.number })
}

/** Returns the namespace of a version, also of a deleted one. */
export async function findNamespaceOfVersion(em: EntityManager, id: string): Promise<string | undefined> {
  const version = await em.findOne(Version, id)
  if (version) return version.namespace
  const tombstone = await em.findOne(Tombstone, { id, type: 'version' })
  return tombstone?.namespace
}

/** Locks the row of the version itself. Waits for transactions that derive versions from it. */
export async function lockForDeletion(em: EntityManager, id: string): Promise<void> {
  await em.findOne(Version, id, { lockMode: LockMode.PESSIMISTIC_WRITE })
}

/** Returns the number of versions that are derived from the version. */
export async function countChildren(em: EntityManager, id: string): Promise<number> {
  return em.createQueryBuilder(VersionParent).where({ parent: id }).getCount('version', true)
}
