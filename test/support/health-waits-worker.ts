// The thread of `health-waits.ts`: reports that it has begun, and at the end the longest wait.
import { parentPort, workerData } from 'node:worker_threads'

const state = { running: true, longest: 0 }

async function call(): Promise<void> {
  const began = performance.now()
  const response = await fetch(`${workerData as string}/healthz`)
  if ((await response.text()) !== 'serving\n') throw new Error(`health is ${response.status}`)
  state.longest = Math.max(state.longest, performance.now() - began)
}

// The first call opens the connection.
await call()
state.longest = 0
parentPort!.once('message', () => (state.running = false))
parentPort!.postMessage('begun', [])
while (state.running) await call()
parentPort!.postMessage(state.longest, [])
