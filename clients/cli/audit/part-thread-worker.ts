import { parentPort, workerData } from 'node:worker_threads'
import { checkPart, type Terms } from './export-part.ts'

parentPort!.on('message', (bytes: Uint8Array) => {
  const part = checkPart(Buffer.from(bytes.buffer), workerData as Terms)
  parentPort!.postMessage(part, [part.hashes.buffer as ArrayBuffer])
})
