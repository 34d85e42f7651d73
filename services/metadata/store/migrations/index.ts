import { M0001Outbox } from './0001-outbox.ts'
import { M0002Identity } from './0002-identity.ts'
import { M0003Models } from './0003-models.ts'
import { M0004Governance } from './0004-governance.ts'

/** The migrations in order. A migration that has been released is never changed. */
export const MIGRATIONS = [M0001Outbox, M0002Identity, M0003Models, M0004Governance]
