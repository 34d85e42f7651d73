// An honest client, which repeats the usual calls and records their latency and errors.
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { blobMessages, digestOf, download } from '../bytes.ts'
import { bearer } from '../standalone.ts'

export interface HonestReport {
  calls: number
  /** The longest call of each kind, in milliseconds. */
  worst: Record<string, number>
  refusals: string[]
}

const TIMEOUT_MS = 5_000
/** Returns the options of a request on a new connection. */
const newConnection = () => ({ agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) })

export class HonestClient {
  readonly #address: string
  readonly #token: string
  readonly #kinds: Record<string, () => Promise<unknown>>

  /** `model` must have a version 1. */
  constructor(address: string, token: string, model: string) {
    this.#address = address
    this.#token = token
    const options = { baseUrl: address, interceptors: [bearer(token)], defaultTimeoutMs: TIMEOUT_MS }
    const transport = createGrpcTransport(options)
    const versions = createClient(VersionService, transport)
    const blobs = createClient(BlobService, transport)
    const log = createClient(LogService, transport)
    const selector = { case: 'number' as const, value: 1 }
    let bytes = Buffer.alloc(0)
    this.#kinds = {
      resolve: () => versions.resolveVersion({ ref: { ref: { case: 'name', value: { model, selector } } } }),
      'resolve on a new connection': () => this.#resolveOnNewConnection({ ref: { name: { model, number: 1 } } }),
      health: () => this.#get('/healthz'),
      upload: () => blobs.uploadBlob(blobMessages((bytes = randomBytes(64 * 1024)))),
      download: () => download(blobs, { digest: digestOf(bytes) }),
      log: () => log.listEntries({ pageSize: 10 }),
      watch: async () => {
        for await (const _message of log.watchEntries({})) return
      },
    }
  }

  /** Repeats the calls while `isWanted` returns true, and makes each kind of call at least once. */
  async callWhile(isWanted: () => boolean): Promise<HonestReport> {
    const report: HonestReport = { calls: 0, worst: {}, refusals: [] }
    do {
      for (const [kind, call] of Object.entries(this.#kinds)) {
        const began = performance.now()
        await call().catch((error: unknown) => report.refusals.push(`${kind}: ${String(error)}`))
        report.calls += 1
        report.worst[kind] = Math.max(report.worst[kind] ?? 0, Math.round(performance.now() - began))
      }
    } while (isWanted())
    return report
  }

  async #resolveOnNewConnection(body: object): Promise<void> {
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' }
    const path = `${this.#address}/${VersionService.typeName}/${VersionService.method.resolveVersion.name}`
    const sent = request(path, { method: 'POST', headers, ...newConnection() })
    sent.end(JSON.stringify(body))
    await statusOk(sent)
  }

  async #get(path: string): Promise<void> {
    await statusOk(request(`${this.#address}${path}`, newConnection()).end())
  }
}

async function statusOk(sent: ReturnType<typeof request>): Promise<void> {
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  answer.resume()
  await once(answer, 'end')
  if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`)
}
