// The thread of abusers: it starts those that it is told, and reports when all are under way.
import { parentPort, workerData } from 'node:worker_threads'
import { ABUSERS, type AbuserName, type Target } from './abusers.ts'

const { names, target } = workerData as { names: AbuserName[]; target: Target }
await Promise.all(names.map((name) => ABUSERS[name](target)))
parentPort!.postMessage('under way', [])
