// The first administrator's token, in a file of the data directory.
import { existsSync, readFileSync } from 'node:fs'
import { hashToken } from '#lib/access/authenticate.ts'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { createAdminToken } from '../metadata/admin-token.ts'
import { lookUpToken } from '../metadata/store/identity/token-lookup.ts'
import { openStore } from '../metadata/store/orm.ts'
import { writeWhole } from './data-directory.ts'

/** Makes token and file where there is no file. Says whether the token in the file works: it may have expired, or have
 * been revoked, and then a new one is made only by whoever removes the file. */
export async function prepareAdminToken(databaseUrl: string, file: string): Promise<'new' | 'known' | 'dead'> {
  const database = openStore({ url: databaseUrl, poolSize: 2 })
  try {
    if (!existsSync(file)) {
      writeWhole(file, `${await createAdminToken(database)}\n`, 0o600)
      return 'new'
    }
    const token = readFileSync(file, 'utf8').trim()
    await lookUpToken(database)(hashToken(token), new AbortController().signal)
    return 'known'
  } catch (error) {
    if (error instanceof ModelkeepError && ['TOKEN_INVALID', 'TOKEN_EXPIRED'].includes(error.reason)) return 'dead'
    throw error
  } finally {
    await database.close(true)
  }
}
