import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn, timeColumn } from '#lib/store/time.ts'

const TokenSchema = defineEntity({
  name: 'Token',
  tableName: 'token',
  properties: {
    id: p.uuid().primary(),
    principal: p.text(),
    description: p.text(),
    /** SHA-256 of the secret, which is not stored. */
    tokenHash: p.blob().lazy(),
    createTime: createTimeColumn(),
    expireTime: timeColumn(),
    revokeTime: timeColumn().nullable(),
  },
  indexes: [{ name: 'token_principal_id_index', properties: ['principal', 'id'] }],
  uniques: [{ name: 'token_token_hash_unique', properties: ['tokenHash'] }],
})
export class Token extends TokenSchema.class {}
TokenSchema.setClass(Token)
