// Where references of reads lead.
import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { LATEST } from '../domain/names.ts'
import type { VersionKey } from '../domain/refs.ts'
import { findVersionById, resolveByName, type DeletedVersion, type VersionRow } from '../store/versions/version-rows.ts'
import { failNoModel, failNoVersion } from './checks.ts'

/** Asks for the RPC's permission, too. `atTime`: where an alias pointed then. */
export async function requireVersion(
  em: EntityManager,
  context: HandlerContext,
  key: VersionKey,
  atTime?: string,
): Promise<VersionRow> {
  return 'id' in key ? resolveById(em, context, key) : resolveNamed(em, context, key, atTime)
}

async function resolveById(em: EntityManager, context: HandlerContext, key: { id: string }): Promise<VersionRow> {
  const row = (await findVersionById(em, key.id)) ?? failNoVersion(key)
  accessOf(context).require(row.namespace, () => failNoVersion(key))
  return row
}

async function resolveNamed(
  em: EntityManager,
  context: HandlerContext,
  key: Exclude<VersionKey, { id: string }>,
  atTime: string | undefined,
): Promise<VersionRow> {
  accessOf(context).require(key.namespace)
  const found = await resolveByName(em, key, atTime)
  if (!found.model) failNoModel({ namespace: key.namespace, model: key.model })
  if (found.future) failField('at_time', 'must not be later than now')
  const { kind, value } = key.selector
  if (kind === 'alias' && value !== LATEST && !found.alias) {
    const when = atTime === undefined ? '' : ' at that time'
    fail('ALIAS_NOT_FOUND', `alias "${value}" not found in model "${key.namespace}/${key.model}"${when}`, {
      alias: value,
    })
  }
  if (found.deleted) failDeleted(key, value, found.deleted)
  return found.version ?? failNoVersion(key)
}

function failDeleted(
  model: { namespace: string; model: string },
  alias: string | number,
  deleted: DeletedVersion,
): never {
  const { id, digest } = deleted
  const version = `${model.namespace}/${model.model}:${deleted.number}`
  const message = `alias "${alias}" pointed at version "${version}" (${id}, ${digest}), which has been deleted since`
  fail('VERSION_NOT_FOUND', message, { version, id, digest, deleted: 'true' })
}
