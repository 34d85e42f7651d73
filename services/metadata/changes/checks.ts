// Preconditions of handlers: permission, existence, state and etag.
import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import {
  formatModelKey,
  formatVersionKey,
  type ExactVersionKey,
  type ModelKey,
  type VersionKey,
} from '../domain/refs.ts'
import {
  findModel,
  findModelHead,
  findNamespaceOfModel,
  lockModel,
  lockModelHead,
  type ModelHead,
} from '../store/models/find-model.ts'
import type { Model } from '../store/models/model.ts'
import { findNamespaceOfVersion, lockVersion } from '../store/versions/find-version.ts'
import type { Version } from '../store/versions/version.ts'
import { etagOf } from '../domain/etags.ts'

/** Requires the RPC's permission in the model's namespace. A deleted model still has one, so that a repeated call gets
 * its first answer. */
export async function authorizeModel(em: EntityManager, context: HandlerContext, key: ModelKey): Promise<void> {
  const access = accessOf(context)
  if (!('id' in key)) return access.require(key.namespace)
  const namespace = await findNamespaceOfModel(em, key.id)
  if (namespace === undefined) failNoModel(key)
  access.require(namespace, () => failNoModel(key))
}

export async function authorizeVersion(
  em: EntityManager,
  context: HandlerContext,
  key: ExactVersionKey,
): Promise<void> {
  const access = accessOf(context)
  if (!('id' in key)) return access.require(key.namespace)
  const namespace = await findNamespaceOfVersion(em, key.id)
  if (namespace === undefined) failNoVersion(key)
  access.require(namespace, () => failNoVersion(key))
}

/** Returns the model that the caller may read. */
export async function requireModel(em: EntityManager, context: HandlerContext, key: ModelKey): Promise<Model> {
  await authorizeModel(em, context, key)
  return (await findModel(em, key)) ?? failNoModel(key)
}

/** Checks that the caller may read the model, and returns the columns that most calls need. This is a hot read. */
export async function requireModelHead(em: EntityManager, context: HandlerContext, key: ModelKey): Promise<ModelHead> {
  await authorizeModel(em, context, key)
  return (await findModelHead(em, key)) ?? failNoModel(key)
}

export async function requireModelLock(em: EntityManager, key: ModelKey): Promise<Model> {
  return (await lockModel(em, key)) ?? failNoModel(key)
}

/** Hot read of SetAliases. */
export async function requireModelHeadLock(em: EntityManager, key: ModelKey): Promise<ModelHead> {
  return (await lockModelHead(em, key)) ?? failNoModel(key)
}

/** Locks the model of the version, and returns the version. */
export async function requireVersionLock(em: EntityManager, key: ExactVersionKey): Promise<Version> {
  return (await lockVersion(em, key)) ?? failNoVersion(key)
}

export function requireActive(model: ModelHead): void {
  if (model.state === 'ACTIVE') return
  const name = `${model.namespace}/${model.name}`
  fail('MODEL_ARCHIVED', `model "${name}" is archived; unarchive it first`, { model: name })
}

/** Requires that the row still has the etag. An empty etag matches any. */
export function requireEtag(row: { revision: number }, given: string): void {
  const etag = etagOf(row)
  if (given === '' || given === etag) return
  fail('ETAG_MISMATCH', 'resource has changed since it was read; read it and retry', { etag })
}

export function failNoNamespace(namespace: string): never {
  fail('NAMESPACE_NOT_FOUND', `namespace "${namespace}" not found`, { namespace })
}

export function failNoModel(key: ModelKey): never {
  const model = formatModelKey(key)
  fail('MODEL_NOT_FOUND', `model "${model}" not found`, { model })
}

export function failNoVersion(key: VersionKey | ExactVersionKey): never {
  const version = formatVersionKey(key)
  fail('VERSION_NOT_FOUND', `version "${version}" not found`, { version })
}

export function failModelExists(namespace: string, name: string): never {
  const model = `${namespace}/${name}`
  fail('MODEL_EXISTS', `model "${model}" already exists; model names are case-insensitive`, { model })
}

export function failNoGate(gate: string): never {
  fail('GATE_NOT_FOUND', `gate "${gate}" not found`, { gate })
}
