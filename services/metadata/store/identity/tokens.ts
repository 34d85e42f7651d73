// Making, listing and revoking tokens.
import { createHash, randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import type { EntityManager } from '#lib/store/database.ts'
import type { TokenRow } from './identity.ts'

const COLUMNS = 'id, principal, description, create_time, expire_time, revoke_time'
/** The longest life of a token, and what clocks may differ. */
const LONGEST = `interval '1 year 1 minute'`

export interface TokenInit {
  principal: string
  description: string
  /** RFC 3339, or as the database writes it. */
  expireTime: string
}

/** The secret is in the answer and nowhere else. */
export async function insertToken(em: EntityManager, init: TokenInit): Promise<{ token: TokenRow; secret: string }> {
  const secret = `mk_${randomBytes(32).toString('base64url')}`
  const hash = createHash('sha256').update(secret).digest()
  const [token] = await em.execute<TokenRow[]>(
    `insert into token (id, principal, description, token_hash, expire_time) values (?, ?, ?, ?, ?)
      returning ${COLUMNS}`,
    [uuidv7(), init.principal, init.description, hash, init.expireTime],
  )
  return { token: token!, secret }
}

/** By the database's clock: whether a token that ends at `expireTime` would be over already, or live too long. */
export async function judgeExpiry(em: EntityManager, expireTime: string): Promise<{ past: boolean; far: boolean }> {
  const [judged] = await em.execute<{ past: boolean; far: boolean }[]>(
    `select ?::timestamptz <= now() as past, ?::timestamptz > now() + ${LONGEST} as far`,
    [expireTime, expireTime],
  )
  return judged!
}

/** A time so many days from now. */
export async function timeAfter(em: EntityManager, days: number): Promise<string> {
  const [row] = await em.execute<{ time: string }[]>('select now() + make_interval(days => ?) as time', [days])
  return row!.time
}

/** The newest first; `principal` empty means of all. `before`: the last id of the page before. */
export async function listTokens(
  em: EntityManager,
  question: { principal: string; before: string | undefined; limit: number },
): Promise<TokenRow[]> {
  const conditions: string[] = []
  const values: (string | number)[] = []
  if (question.principal !== '') {
    conditions.push('principal = ?')
    values.push(question.principal)
  }
  if (question.before !== undefined) {
    conditions.push('id < ?')
    values.push(question.before)
  }
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''
  return em.execute<TokenRow[]>(`select ${COLUMNS} from token ${where} order by id desc limit ?`, [
    ...values,
    question.limit,
  ])
}

export async function findTokenById(em: EntityManager, id: string): Promise<TokenRow | undefined> {
  const [token] = await em.execute<TokenRow[]>(`select ${COLUMNS} from token where id = ?`, [id])
  return token
}

/** Undefined where the token was revoked before. */
export async function revokeTokenById(em: EntityManager, id: string): Promise<TokenRow | undefined> {
  const [token] = await em.execute<TokenRow[]>(
    `update token set revoke_time = now() where id = ? and revoke_time is null returning ${COLUMNS}`,
    [id],
  )
  return token
}
