// A bucket under object lock: nobody can remove or overwrite an object in it before its retention ends, not even the owner
// of the bucket.
import { Client } from 'minio'
import { createHash } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'

export interface WormOptions {
  /** `http://host:port` or `https://…`. */
  endpoint: string
  region: string
  bucket: string
  /** Prepended to every key. */
  prefix: string
  accessKey: string
  secretKey: string
  /** How long every object is locked after it was written. */
  retentionMs: number
}

/** The bucket and the log differ: one of the two was changed, or the bucket belongs to another log. */
export class WormMismatch extends Error {
  override name = 'WormMismatch'
}

const SILENCE_MS = 30_000
const GONE = ['NoSuchKey', 'NotFound']
const TAKEN = ['PreconditionFailed']
const LOCKED = 'COMPLIANCE'

export class WormBucket {
  /** Identifies this copy of the log among others. */
  readonly name: string
  readonly #client: Client
  readonly #options: WormOptions
  readonly #agent: http.Agent
  #isReady = false

  constructor(options: WormOptions) {
    const { endpoint, region, accessKey, secretKey } = options
    const url = new URL(endpoint)
    const isSecure = url.protocol === 'https:'
    this.#options = options
    this.name = `${endpoint}/${options.bucket}/${options.prefix}`
    this.#agent = new (isSecure ? https : http).Agent({ keepAlive: true })
    this.#client = new Client({
      endPoint: url.hostname,
      ...(url.port ? { port: Number(url.port) } : {}),
      useSSL: isSecure,
      region,
      accessKey,
      secretKey,
      transport: withTimeout(isSecure ? https : http),
      transportAgent: this.#agent,
      retryOptions: { disableRetry: true },
    })
  }

  /** Writes an object unless it exists. Throws WormMismatch where the existing one is not the `same`. */
  async put(key: string, bytes: Buffer, same = (there: Buffer) => there.equals(bytes)): Promise<void> {
    await this.#prepare()
    const requireSame = (there: Buffer): void => {
      if (!same(there))
        throw new WormMismatch(
          `bucket "${this.#options.bucket}" has different content for ${this.#options.prefix}${key}`,
        )
    }
    const there = await this.#get(key)
    if (there) return requireSame(there)
    try {
      await this.#send(key, bytes)
    } catch (error) {
      // Another replica may have written it meanwhile.
      const existing = TAKEN.includes(codeOf(error)) ? await this.#get(key) : undefined
      if (!existing) throw error
      requireSame(existing)
    }
  }

  /** The first key after `key` that begins with `prefix`. */
  async findAfter(prefix: string, key: string): Promise<string | undefined> {
    await this.#prepare()
    const { bucket, prefix: all } = this.#options
    const found = this.#client.listObjectsV2(bucket, `${all}${prefix}`, true, `${all}${key}`)
    for await (const { name } of found as AsyncIterable<{ name: string }>) return name.slice(all.length)
    return undefined
  }

  close(): void {
    this.#agent.destroy()
  }

  /** Creates the bucket if it is missing. Throws where it would lock no objects. */
  async #prepare(): Promise<void> {
    if (this.#isReady) return
    const { bucket, region } = this.#options
    if (!(await this.#client.bucketExists(bucket))) {
      await this.#client.makeBucket(bucket, region, { ObjectLocking: true }).catch((error: unknown) => {
        if (!codeOf(error).startsWith('BucketAlready')) throw error
      })
    }
    if (!(await this.#isLocked())) {
      throw new Error(`bucket "${bucket}" has no object lock; it can only be enabled when a bucket is created`)
    }
    this.#isReady = true
  }

  async #isLocked(): Promise<boolean> {
    try {
      // The client declares this without its result.
      const lock = this.#client.getObjectLockConfig(this.#options.bucket) as unknown as Promise<LockConfig | undefined>
      return (await lock)?.objectLockEnabled === 'Enabled'
    } catch (error) {
      if (codeOf(error) === 'ObjectLockConfigurationNotFoundError') return false
      throw error
    }
  }

  async #get(key: string): Promise<Buffer | undefined> {
    const { bucket, prefix } = this.#options
    try {
      const chunks: Buffer[] = []
      for await (const chunk of await this.#client.getObject(bucket, `${prefix}${key}`)) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks)
    } catch (error) {
      if (GONE.includes(codeOf(error))) return undefined
      throw error
    }
  }

  async #send(key: string, bytes: Buffer): Promise<void> {
    const { bucket, prefix, region, retentionMs } = this.#options
    const objectName = `${prefix}${key}`
    const headers = {
      'content-length': String(bytes.length),
      'content-md5': createHash('md5').update(bytes).digest('base64'),
      'if-none-match': '*',
      'x-amz-object-lock-mode': LOCKED,
      'x-amz-object-lock-retain-until-date': new Date(Date.now() + retentionMs).toISOString(),
    }
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const request = { method: 'PUT', bucketName: bucket, objectName, headers }
    const answer = await this.#client.makeRequestStreamAsync(request, bytes, sha256, [200], region)
    answer.resume()
    const versionId = answer.headers['x-amz-version-id']
    if (typeof versionId !== 'string') throw new Error(`bucket "${bucket}" has no versioning; enable it`)
    // Some servers ignore headers that they do not know.
    const kept = (await this.#client.getObjectRetention(bucket, objectName, { versionId })) as { mode?: string } | null
    if (kept?.mode !== LOCKED) throw new Error(`server does not lock the objects of bucket "${bucket}"`)
  }
}

interface LockConfig {
  objectLockEnabled?: string
}

/** Requests fail when the server is silent for too long. */
function withTimeout({ request }: typeof http | typeof https): Pick<typeof http, 'request'> {
  const transport = {
    request(options: http.RequestOptions, onResponse: (response: http.IncomingMessage) => void): http.ClientRequest {
      const sent = request(options, onResponse)
      return sent.setTimeout(SILENCE_MS, () => void sent.destroy(new Error('bucket timed out')))
    },
  }
  return transport as Pick<typeof http, 'request'>
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}
