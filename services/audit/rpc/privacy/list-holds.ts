import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import type { LogDeps } from '../../deps.ts'
import * as store from '../../store/privacy/holds.ts'
import { presentHold } from './present-hold.ts'

const MAX_HOLDS = 1_000

export async function listHolds({ database }: LogDeps, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const holds = await store.listHolds(forkFor(database, context.signal), MAX_HOLDS)
  return { holds: holds.map(presentHold) }
}
