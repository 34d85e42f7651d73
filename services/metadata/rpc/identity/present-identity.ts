import { create } from '@bufbuild/protobuf'
import {
  Role,
  RoleBindingSchema,
  TokenSchema,
  type RoleBinding,
  type Token,
} from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type * as roles from '../../store/identity/role-binding.ts'
import type * as tokens from '../../store/identity/token.ts'

export function presentToken(token: tokens.Token): Token {
  return create(TokenSchema, {
    id: token.id,
    principal: token.principal,
    description: token.description,
    createTime: toTimestamp(token.createTime),
    expireTime: toTimestamp(token.expireTime),
    ...(token.revokeTime && { revokeTime: toTimestamp(token.revokeTime) }),
  })
}

export function presentBinding(binding: roles.RoleBinding): RoleBinding {
  const { principal, namespace, role, createTime } = binding
  return create(RoleBindingSchema, {
    principal,
    namespace,
    role: Role[role],
    createTime: toTimestamp(createTime),
  })
}
