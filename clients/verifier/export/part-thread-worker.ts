import { parentPort, workerData } from 'node:worker_threads'
import { checkPart, type Terms } from './export-part.ts'
import { pack } from '../replay/judged.ts'
import type { PackedPart } from './part-threads.ts'

parentPort!.on('message', (bytes: Uint8Array) => {
  const part = checkPart(Buffer.from(bytes.buffer), workerData as Terms)
  const packed: PackedPart = { ...part, judged: pack(part.judged) }
  parentPort!.postMessage(packed, [part.hashes.buffer as ArrayBuffer])
})
parentPort!.postMessage('begun', [])
