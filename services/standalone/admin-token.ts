// The token of the first administrator, in a file of the data directory.
import { existsSync, readFileSync } from 'node:fs'
import { hashToken } from '#lib/access/authenticate.ts'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { createAdminToken } from '../metadata/admin-token.ts'
import { findCaller } from '../metadata/store/identity/token-lookup.ts'
import { openStore } from '../metadata/store/orm.ts'
import { replaceFile } from './data-directory.ts'

/** Creates a token and its file where there is no file. Returns whether the token is new, still valid, or expired or
 * revoked; an invalid one is replaced only after the operator has removed the file. */
export async function prepareAdminToken(databaseUrl: string, file: string): Promise<'new' | 'valid' | 'invalid'> {
  const database = openStore({ url: databaseUrl, poolSize: 2 })
  try {
    if (!existsSync(file)) {
      replaceFile(file, `${await createAdminToken(database)}\n`, 0o600)
      return 'new'
    }
    const token = readFileSync(file, 'utf8').trim()
    await findCaller(database, hashToken(token))
    return 'valid'
  } catch (error) {
    if (error instanceof ModelkeepError && ['TOKEN_INVALID', 'TOKEN_EXPIRED'].includes(error.reason)) return 'invalid'
    throw error
  } finally {
    await database.close(true)
  }
}
