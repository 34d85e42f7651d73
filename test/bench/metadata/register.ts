// Compares a complete registration over the wire, which is CreateManifest, CreateVersion and SetAliases, with the sum of their
// baselines.
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { blobMessages, digestOf, makeBytes } from '../../support/bytes.ts'
import { grpcClient } from '../../support/suite.ts'
import type { Figures } from '../figures.ts'
import { createCall, createdManifest, createdVersion, manifestCall } from './calls.ts'
import { openBaseline } from './baseline.ts'
import { openGrpc } from './load.ts'
import { compare, IN_FLIGHT, createLender, moveAlias, type Rounds } from './ratios.ts'
import type { Subject } from './subjects.ts'
import type { World } from './world.ts'

const BLOB_BYTES = 1_000

export async function compareRegister(
  figures: Figures,
  world: World,
  models: Subject[],
  rounds: Rounds,
): Promise<void> {
  const baseline = openBaseline(world.databaseUrl)
  const artifact = await openGrpc(world.artifact.address, world.token)
  const metadata = await openGrpc(world.metadataWithArtifact.address, world.token)
  const bytes = makeBytes(BLOB_BYTES, 'register')
  const blob = { digest: digestOf(bytes), size: bytes.length }
  await grpcClient(BlobService, world.artifact.address, world.token).uploadBlob(blobMessages(bytes))
  const pick = createLender(models.slice(0, IN_FLIGHT))
  const pickBare = createLender(models.slice(IN_FLIGHT))
  let made = 0
  await compare(
    figures,
    {
      name: 'complete registration',
      target: 0.35,
      baseline: () =>
        pickBare(async ({ modelId }) => {
          await baseline.createManifest()
          await baseline.create(modelId)
          await baseline.setAlias(modelId, 1)
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
  await baseline.close()
}
