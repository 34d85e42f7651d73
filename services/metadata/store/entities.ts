import { OUTBOX_ENTITIES } from '#lib/store/outbox.ts'
import { AnsweredRequest } from '#lib/store/requests.ts'
import { RoleBinding, Token } from './identity.ts'

export const ENTITIES = [...OUTBOX_ENTITIES, AnsweredRequest, Token, RoleBinding]
