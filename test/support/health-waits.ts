// Measures how long a caller waits for /healthz. It calls from a thread of its own, which the work of the test does not delay.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** Returns the longest wait in milliseconds while `work` ran. */
export async function measureWaits(address: string, work: () => Promise<unknown>): Promise<number> {
  const worker = new Worker(new URL('./health-waits-worker.ts', import.meta.url), { workerData: address, execArgv: [] })
  try {
    await once(worker, 'message')
    await work()
    worker.postMessage('end', [])
    const [longest] = (await once(worker, 'message')) as [number]
    return longest
  } finally {
    await worker.terminate()
  }
}
