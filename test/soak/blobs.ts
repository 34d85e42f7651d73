// The blobs of a soak and what the service said of them. Their bytes are made again from their names.
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
  /** Acknowledged, and its lease has not ended since. */
  kept: boolean
  /** How many versions need it. */
  holds: number
  /** How often it was free to go. */
  broken: number
  /** One step at a time concerns it. */
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

/** The whole of it or a range; throws `WrongBytes` where anything else came than what was stored. */
export async function pull(world: World, blob: KnownBlob, random: Random): Promise<void> {
  const bytes = makeBytes(blob.size, blob.name)
  const offset = random.below(2) === 0 ? 0 : random.below(blob.size + 1)
  const received = await download(world.client(BlobService), { digest: blob.digest, offset: BigInt(offset) })
  if (!received.equals(bytes.subarray(offset))) throw new WrongBytes(`${blob.name} from ${offset}`)
}

export class WrongBytes extends Error {}
