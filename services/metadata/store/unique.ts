import type { EntityManager } from '#lib/store/database.ts'
import { violatedConstraint } from '#lib/store/faults.ts'

/** Flushes the changes. Calls `failDuplicate` when they violate the unique constraint; the transaction cannot continue. */
export async function flushUnique(em: EntityManager, constraint: string, failDuplicate: () => never): Promise<void> {
  await em.flush().catch((error: unknown) => {
    if (violatedConstraint(error) === constraint) failDuplicate()
    throw error
  })
}
