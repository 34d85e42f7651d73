// The thread of abusers, which starts the named ones and reports when all have started.
import { parentPort, workerData } from 'node:worker_threads'
import { ABUSERS, type AbuserName, type Target } from './abusers.ts'

const { names, target } = workerData as { names: AbuserName[]; target: Target }
await Promise.all(names.map((name) => ABUSERS[name](target)))
parentPort!.postMessage('under way', [])
