// The valid requests of all RPCs, by their paths.
import { pathOf } from '../every-service.ts'
import { VALID_ARTIFACT } from './artifact.ts'
import { VALID_AUDIT } from './audit.ts'
import { VALID_GOVERNANCE } from './governance.ts'
import { VALID_METADATA } from './metadata.ts'
import type { Valid } from './world.ts'

const ALL = [...VALID_METADATA, ...VALID_GOVERNANCE, ...VALID_ARTIFACT, ...VALID_AUDIT]

/** If an RPC has several requests, the first is the usual one. */
export const VALID: ReadonlyMap<string, Valid[]> = Map.groupBy(ALL, (valid) => pathOf(valid.method))
