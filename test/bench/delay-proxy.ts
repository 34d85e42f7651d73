// A TCP proxy in a separate thread that delays every byte in both directions.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/** The maximum number of delayed bytes, which exceeds any window. */
const IN_FLIGHT = 64 * 1024 * 1024

interface Settings {
  target: string
  delayMs: number
}

export async function startDelayProxy(target: string, delayMs: number): Promise<{ address: string; close(): void }> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { target, delayMs } satisfies Settings })
  const [port] = (await once(worker, 'message')) as [number]
  return { address: `http://127.0.0.1:${port}`, close: () => void worker.terminate() }
}

if (!isMainThread) {
  const { target, delayMs } = workerData as Settings
  const upstreamAddress = new URL(target)
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: upstreamAddress.hostname, port: Number(upstreamAddress.port), noDelay: true })
    forward(client, upstream, delayMs)
    forward(upstream, client, delayMs)
  })
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
    parentPort!.postMessage(port)
  })
}

function forward(from: Socket, to: Socket, delayMs: number): void {
  let inFlight = 0
  from.on('data', (bytes: Buffer) => {
    inFlight += bytes.length
    if (inFlight > IN_FLIGHT) from.pause()
    setTimeout(() => {
      to.write(bytes, () => {
        inFlight -= bytes.length
        from.resume()
      })
    }, delayMs)
  })
  from.on('error', () => to.destroy()).on('close', () => to.destroy())
  from.on('end', () => setTimeout(() => to.end(), delayMs))
}
