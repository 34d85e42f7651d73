import { create } from '@bufbuild/protobuf'
import {
  Role,
  RoleBindingSchema,
  TokenSchema,
  type RoleBinding,
  type Token,
} from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { RoleRow, TokenRow } from '../../store/identity/identity.ts'

export function presentToken(row: TokenRow): Token {
  return create(TokenSchema, {
    id: row.id,
    principal: row.principal,
    description: row.description,
    createTime: toTimestamp(row.create_time),
    expireTime: toTimestamp(row.expire_time),
    ...(row.revoke_time === null ? {} : { revokeTime: toTimestamp(row.revoke_time) }),
  })
}

export function presentBinding(row: RoleRow): RoleBinding {
  const { principal, namespace } = row
  return create(RoleBindingSchema, {
    principal,
    namespace,
    role: Role[row.role],
    createTime: toTimestamp(row.create_time),
  })
}
