// Reading a range of a blob for a client, with every part verified.
import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import type { Chunk } from '#lib/byte-streams/chunk.ts'
import { fail } from '#lib/errors/errors.ts'
import type { Range } from '../../domain/range.ts'
import { enclosingParts, verifyParts } from '../../domain/verified-parts.ts'
import type { StoredBlob } from '../../store/blobs/blob.ts'
import { reportWrongBytes } from '../../store/blobs/quarantine.ts'
import { isByteStoreProblem } from '../../store/byte-store.ts'
import { requireStore } from '../../store/installation.ts'
import type { Backend } from '../../deps.ts'
import { limitIdleReader } from './idle-reader.ts'

/** Yields the bytes of a range in chunks of the size of a message. Throws BLOB_CORRUPT before the last chunk of a part whose
 * digest is wrong. */
export async function* readVerified(
  backend: Backend,
  blob: StoredBlob,
  range: Range,
  context: HandlerContext,
): AsyncGenerator<Chunk> {
  const length = range.end - range.offset
  if (length === 0) return
  const enclosing = enclosingParts(range, blob)
  const { principal } = accessOf(context).caller
  yield* limitIdleReader({ ...backend, principal, length, signal: context.signal }, (signal) => {
    const source = readObject(backend, blob, enclosing.offset, enclosing.end - enclosing.offset, signal)
    return verifyParts(source, range, blob, (part) => failCorrupt(backend, blob, part))
  })
}

async function* readObject(
  backend: Backend,
  blob: StoredBlob,
  offset: number,
  length: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    yield* backend.bytes.read(blob.objectKey, offset, length, signal)
  } catch (error) {
    if (!isByteStoreProblem(error, 'object gone')) throw error
    await requireStore(backend)
    failCorrupt(backend, blob, 1)
  }
}

function failCorrupt(backend: Backend, { digest, objectKey }: StoredBlob, part: number): never {
  reportSuspicion(backend, { digest, objectKey })
  backend.logger.error({ digest, objectKey, part }, 'the bytes of a blob are corrupt')
  const message = `part ${part} of blob ${digest} has a wrong digest in the store and was not sent`
  fail('BLOB_CORRUPT', message, { digest, part: String(part) })
}

/** Requests a check by the scrubber, which finds out whether the stored bytes are wrong or only this read was. The download
 * does not wait for it. */
function reportSuspicion(
  { database, scrubber, running, logger }: Backend,
  seen: { digest: string; objectKey: string },
): void {
  const work = reportWrongBytes(database, seen).then(
    () => scrubber.wake(),
    (error: unknown) => logger.warn({ error, digest: seen.digest }, 'the report of wrong bytes could not be recorded'),
  )
  running.add(work)
  void work.finally(() => running.delete(work))
}
