import type { EntityManager } from '#lib/store/database.ts'
import { violatedConstraint } from '#lib/store/faults.ts'

/** Flushes the changes. Calls `failTaken` when they violate the unique constraint; the transaction cannot continue. */
export async function flushUnique(em: EntityManager, constraint: string, failTaken: () => never): Promise<void> {
  await em.flush().catch((error: unknown) => {
    if (violatedConstraint(error) === constraint) failTaken()
    throw error
  })
}
