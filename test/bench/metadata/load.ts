// Puts load on a service by raw HTTP. Calls are encoded once and answers are not decoded, because the load generator shares the
// cores with the service.
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { connect, type ClientHttp2Session } from 'node:http2'

/** An encoded call of an RPC. */
export interface Call {
  path: string
  body: Buffer
}
export interface Connection {
  /** Resolves with the body of the answer; rejects unless the call succeeds. */
  call: (call: Call) => Promise<Buffer>
  close: () => void
}

/** Returns the gRPC frame of a message, without compression. */
export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  return frame
}

/** Opens one HTTP/2 session. The bodies of calls and answers are gRPC frames. */
export async function openGrpc(address: string, token: string): Promise<Connection> {
  const session: ClientHttp2Session = connect(address)
  await once(session, 'connect')
  // The calls of a failed session fail, too.
  session.on('error', () => {})
  const common = {
    ':method': 'POST',
    'content-type': 'application/grpc+proto',
    te: 'trailers',
    authorization: `Bearer ${token}`,
  }
  return {
    call: ({ path, body }) =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ...common, ':path': path })
        const chunks: Buffer[] = []
        let status: unknown
        const take = (headers: Record<string, unknown>): void => {
          status = headers['grpc-status'] ?? status
        }
        stream.on('response', take)
        stream.on('trailers', take)
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('error', reject)
        stream.on('end', () => {
          if (status === '0') resolve(Buffer.concat(chunks))
          else reject(new Error(`${path} failed with gRPC status ${String(status)}`))
        })
        stream.end(body)
      }),
    close: () => session.destroy(),
  }
}

/** Opens Connect with JSON over HTTP/1.1, with as many connections as there are calls in flight. */
export function openJson(address: string, token: string): Connection {
  const agent = new Agent({ keepAlive: true })
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
  const url = new URL(address)
  return {
    call: ({ path, body }) =>
      new Promise((resolve, reject) => {
        const options = { agent, host: url.hostname, port: url.port, path, method: 'POST' }
        const request = httpRequest({ ...options, headers: { ...headers, 'content-length': body.length } })
        request.on('error', reject)
        request.on('response', (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () => {
            if (response.statusCode === 200) resolve(Buffer.concat(chunks))
            else reject(new Error(`${path} failed with HTTP status ${response.statusCode}`))
          })
        })
        request.end(body)
      }),
    close: () => agent.destroy(),
  }
}

export type Work = (iteration: number) => Promise<unknown>

/** Repeats the work, `inFlight` times in parallel. Returns the rate per second. */
export async function measureRate(work: Work, inFlight: number, milliseconds: number, from = 0): Promise<number> {
  let iteration = from
  const began = performance.now()
  const end = began + milliseconds
  const worker = async (): Promise<void> => {
    while (performance.now() < end) await work((iteration += 1))
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return ((iteration - from) * 1000) / (performance.now() - began)
}

/** Starts the work at a steady rate, even while earlier work runs. Returns the time from each scheduled start to the end of the
 * work, in milliseconds. */
export async function measureOpenLoop(work: Work, perSecond: number, milliseconds: number): Promise<number[]> {
  const count = Math.round((perSecond * milliseconds) / 1000)
  const began = performance.now()
  const times: number[] = []
  const running: Promise<unknown>[] = []
  await new Promise<void>((resolve, reject) => {
    const startDue = (): void => {
      for (; running.length < count;) {
        const due = began + (running.length * 1000) / perSecond
        if (due > performance.now()) break
        const iteration = running.length
        running.push(work(iteration).then(() => times.push(performance.now() - due)))
      }
      if (running.length < count) setTimeout(startDue, 1)
      else Promise.all(running).then(() => resolve(), reject)
    }
    startDue()
  })
  return times
}
