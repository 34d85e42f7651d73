import { OUTBOX_ENTITIES } from '#lib/store/outbox.ts'
import { AnsweredRequest } from '#lib/store/requests.ts'

export const ENTITIES = [...OUTBOX_ENTITIES, AnsweredRequest]
