// The worker of a PartThread: receives the bytes of a part, and returns what `checkPart` found.
import { parentPort, workerData } from 'node:worker_threads'
import { checkPart, type PartContext } from './export-part.ts'
import { packEvents } from '../replay/replay-event.ts'
import type { PackedPart } from './part-threads.ts'

parentPort!.on('message', (bytes: Uint8Array) => {
  const part = checkPart(Buffer.from(bytes.buffer), workerData as PartContext)
  const packed: PackedPart = { ...part, replayEvents: packEvents(part.replayEvents) }
  parentPort!.postMessage(packed, [part.hashes.buffer as ArrayBuffer])
})
parentPort!.postMessage('ready', [])
