import { createHash, randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import type { EntityManager } from '#lib/store/database.ts'
import { Token } from './token.ts'

export interface TokenInit {
  principal: string
  description: string
  /** Time in RFC 3339 or in PostgreSQL's text format. */
  expireTime: string
}

/** Inserts a token. Only its hash is stored: the returned secret cannot be read again. */
export async function insertToken(em: EntityManager, init: TokenInit): Promise<{ token: Token; secret: string }> {
  const secret = `mk_${randomBytes(32).toString('base64url')}`
  const tokenHash = createHash('sha256').update(secret).digest()
  const token = em.create(Token, { id: uuidv7(), ...init, tokenHash })
  await em.flush()
  await em.refresh(token)
  return { token, secret }
}
