// A valid request of each RPC of the audit service, with every field filled in.
import { create } from '@bufbuild/protobuf'
import { expect } from 'vitest'
import { EventSchema, RetentionClass } from '../../../gen/modelkeep/audit/v1/event_pb.ts'
import { IngestService } from '../../../gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { LogService } from '../../../gen/modelkeep/audit/v1/log_service_pb.ts'
import { PrivacyService } from '../../../gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { ProofService } from '../../../gen/modelkeep/audit/v1/proof_service_pb.ts'
import { ModelService } from '../../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { makeModel, named, valid, type Valid, type World } from './world.ts'

const log = LogService.method
const proofs = ProofService.method
const privacy = PrivacyService.method

const RENAMED = 'type = "model.archived.v1"'

/** Returns an event in the log that has a private value. */
async function makeReasoned(world: World): Promise<string> {
  const { id, name } = await makeModel(world)
  await world.admin(ModelService).archiveModel({ model: named(name), reason: 'private' })
  const filter = `${RENAMED} AND resource.id = "${id}"`
  const find = async () => (await world.admin(LogService).listEntries({ filter })).entries
  await expect.poll(find).toHaveLength(1)
  return (await find())[0]!.event!.id
}

/** Returns the number of entries that a checkpoint covers. */
async function signedSize({ admin }: World): Promise<bigint> {
  return (await admin(ProofService).getCheckpoint({ minSize: 2n })).checkpoint!.size
}

/** Returns the oldest entry that members of `default` may read. */
async function findFirst({ admin }: World) {
  const request = { filter: 'namespace = default', orderBy: 'index', pageSize: 1 }
  const { entries } = await admin(LogService).listEntries(request)
  return { entry: { case: 'index' as const, value: entries[0]!.index } }
}

export const VALID_AUDIT: Valid[] = [
  // The event repeats one in the log, because the next sequence belongs to the outbox.
  {
    ...valid(
      IngestService.method.appendEvents,
      async (world) => {
        const id = await makeReasoned(world)
        const { entry } = await world.admin(LogService).getEntry({ entry: { case: 'eventId' as const, value: id } })
        const sent = { ...entry!.event!, commitments: {}, retentionClass: RetentionClass.UNSPECIFIED }
        return { events: [create(EventSchema, sent)] }
      },
      'mks_metadata',
    ),
    verdicts: { 'events[0].resource.digest nothing': 'allowed', 'events[0].details absent': 'allowed' },
  },

  valid(log.getEntry, findFirst),
  valid(log.listEntries, () => ({ filter: 'type = "model.created.v1"', orderBy: 'index desc', pageSize: 10 })),
  valid(log.watchEntries, () => ({ fromIndex: 0n, filter: 'type = "model.created.v1"' })),
  valid(log.getLogHealth, () => ({})),

  valid(privacy.redactEvent, async (world) => ({
    eventId: await makeReasoned(world),
    fields: ['reason'],
    reason: 'because',
  })),
  valid(privacy.placeHold, () => ({ subject: { case: 'namespace' as const, value: 'held' }, reason: 'because' })),
  valid(privacy.releaseHold, async ({ admin }) => {
    const subject = { case: 'namespace' as const, value: 'held' }
    const { hold } = await admin(PrivacyService).placeHold({ subject, reason: 'because' })
    return { id: hold!.id, reason: 'because' }
  }),
  valid(privacy.listHolds, () => ({})),
  valid(privacy.listRetention, () => ({})),

  valid(proofs.getCheckpoint, () => ({ minSize: 1n })),
  valid(proofs.getInclusionProof, async (world) => ({
    ...(await findFirst(world)),
    treeSize: await signedSize(world),
  })),
  valid(proofs.getConsistencyProof, async (world) => ({ oldSize: 1n, newSize: await signedSize(world) })),
  valid(proofs.getProofBundle, findFirst),
  valid(proofs.exportEntries, async (world) => ({ treeSize: await signedSize(world) })),
]
