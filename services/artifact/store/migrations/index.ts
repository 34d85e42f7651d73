import { M0001Outbox } from './0001-outbox.ts'
import { M0002Artifacts } from './0002-artifacts.ts'
import { M0003UploadStates } from './0003-upload-states.ts'
import { M0004Garbage } from './0004-garbage.ts'
import { M0005Installation } from './0005-installation.ts'
import { M0006MarkedStore } from './0006-marked-store.ts'

/** The migrations in order. A migration that has been released is never changed. */
export const MIGRATIONS = [
  M0001Outbox,
  M0002Artifacts,
  M0003UploadStates,
  M0004Garbage,
  M0005Installation,
  M0006MarkedStore,
]
