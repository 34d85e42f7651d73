import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { LATEST } from '../domain/names.ts'
import type { VersionKey } from '../domain/refs.ts'
import type { Tombstone } from '../store/models/tombstone.ts'
import { readVersion, resolveByName } from '../store/versions/resolve-version.ts'
import type { Version } from '../store/versions/version.ts'
import { failNoModel, failNoVersion } from './checks.ts'

/** Returns the version that the reference names, and requires the RPC's permission. `atTime` selects the version that
 * an alias pointed at then. */
export async function requireVersion(
  em: EntityManager,
  context: HandlerContext,
  key: VersionKey,
  atTime?: string,
): Promise<Version> {
  return 'id' in key ? resolveById(em, context, key) : resolveNamed(em, context, key, atTime)
}

async function resolveById(em: EntityManager, context: HandlerContext, key: { id: string }): Promise<Version> {
  const version = (await readVersion(em, key.id)) ?? failNoVersion(key)
  accessOf(context).require(version.namespace, () => failNoVersion(key))
  return version
}

async function resolveNamed(
  em: EntityManager,
  context: HandlerContext,
  key: Exclude<VersionKey, { id: string }>,
  atTime: string | undefined,
): Promise<Version> {
  accessOf(context).require(key.namespace)
  const found = await resolveByName(em, key, atTime)
  if (!found.hasModel) failNoModel({ namespace: key.namespace, model: key.model })
  if (found.isFuture) failField('at_time', 'must not be later than now')
  const { kind, value } = key.selector
  if (kind === 'alias' && value !== LATEST && !found.hasAlias) {
    const when = atTime === undefined ? '' : ' at that time'
    fail('ALIAS_NOT_FOUND', `alias "${value}" not found in model "${key.namespace}/${key.model}"${when}`, {
      alias: value,
    })
  }
  if (found.deleted) failDeleted(key, value, found.deleted)
  return found.version ?? failNoVersion(key)
}

function failDeleted(model: { namespace: string; model: string }, alias: string | number, deleted: Tombstone): never {
  const { id, digest } = deleted
  const version = `${model.namespace}/${model.model}:${deleted.number}`
  const message = `alias "${alias}" pointed at version "${version}" (${id}, ${digest}), which has been deleted since`
  fail('VERSION_NOT_FOUND', message, { version, id, digest, deleted: 'true' })
}
