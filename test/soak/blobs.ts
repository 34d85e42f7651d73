// The blobs of a soak and their acknowledged states. Their bytes are generated from their names.
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { blobMessages, digestOf, download, makeBytes } from '../support/bytes.ts'
import { pushInParts } from '../support/chaos-artifact.ts'
import type { Random } from '../support/random.ts'
import type { World } from './world.ts'

export interface KnownBlob {
  name: string
  size: number
  digest: string
  /** Whether the upload was acknowledged, and its lease has not expired since. */
  kept: boolean
  /** The number of versions that need the blob. */
  holds: number
  /** How often the blob could have been deleted. */
  broken: number
  /** Serializes the steps on this blob. */
  turn: Promise<unknown>
}

const MIB = 1024 * 1024

export function newBlob(name: string, random: Random): KnownBlob {
  const size = random.pick([0, 1, 500, 70_000, 900_000, 3 * MIB, 16 * MIB + 1, 20 * MIB, random.below(2 * MIB)])
  return {
    name,
    size,
    digest: digestOf(makeBytes(size, name)),
    kept: false,
    holds: 0,
    broken: 0,
    turn: Promise.resolve(),
  }
}

export function inTurn<T>(blob: KnownBlob, step: () => Promise<T>): Promise<T> {
  const turn = blob.turn.then(step)
  blob.turn = turn.catch(() => undefined)
  return turn
}

export async function push(world: World, blob: KnownBlob, inParts: boolean): Promise<void> {
  const bytes = makeBytes(blob.size, blob.name)
  const before = world.age
  if (inParts) await pushInParts({ uploads: world.client(UploadService) }, bytes)
  else await world.client(BlobService).uploadBlob(blobMessages(bytes))
  blob.kept = before === world.age && before % 2 === 0
}

/** Downloads the blob or a range of it; throws `WrongBytes` if the bytes differ from the stored ones. */
export async function pull(world: World, blob: KnownBlob, random: Random): Promise<void> {
  const bytes = makeBytes(blob.size, blob.name)
  const offset = random.below(2) === 0 ? 0 : random.below(blob.size + 1)
  const received = await download(world.client(BlobService), { digest: blob.digest, offset: BigInt(offset) })
  if (!received.equals(bytes.subarray(offset))) throw new WrongBytes(`${blob.name} from ${offset}`)
}

export class WrongBytes extends Error {}
