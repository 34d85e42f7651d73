// A whole register over the wire: CreateManifest, CreateVersion and SetAliases, by three processes, against their floors
// in a row.
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { blobMessages, digestOf, makeBytes } from '../../support/bytes.ts'
import { grpcClient } from '../../support/suite.ts'
import type { Figures } from '../figures.ts'
import { createCall, createdManifest, createdVersion, manifestCall } from './calls.ts'
import { openFloor } from './floor.ts'
import { openGrpc } from './load.ts'
import { compare, IN_FLIGHT, lend, moveAlias, type Rounds } from './ratios.ts'
import type { Subject } from './subjects.ts'
import type { World } from './world.ts'

const BLOB_BYTES = 1_000

export async function compareRegister(
  figures: Figures,
  world: World,
  models: Subject[],
  rounds: Rounds,
): Promise<void> {
  const floor = openFloor(world.databaseUrl)
  const artifact = await openGrpc(world.artifact.address, world.token)
  const metadata = await openGrpc(world.wholeMetadata.address, world.token)
  const bytes = makeBytes(BLOB_BYTES, 'register')
  const blob = { digest: digestOf(bytes), size: bytes.length }
  await grpcClient(BlobService, world.artifact.address, world.token).uploadBlob(blobMessages(bytes))
  const pick = lend(models.slice(0, IN_FLIGHT))
  const pickBare = lend(models.slice(IN_FLIGHT))
  let made = 0
  await compare(
    figures,
    {
      name: 'whole register',
      target: 0.35,
      floor: () =>
        pickBare(async ({ modelId }) => {
          await floor.createManifest()
          await floor.create(modelId)
          await floor.setAlias(modelId, 1)
        }),
      work: () =>
        pick(async (subject) => {
          const manifest = createdManifest(await artifact.call(manifestCall(`model-${(made += 1)}.bin`, blob)))
          const number = createdVersion(await metadata.call(createCall('gRPC', subject.model, manifest)))
          await moveAlias(metadata, subject, number)
        }),
    },
    rounds,
    world,
  )
  artifact.close()
  metadata.close()
  await floor.close()
}
