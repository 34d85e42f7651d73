// The end of every signature of version 4.
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'

export interface Signer {
  /** What callers can reach: `https://host:port`. */
  endpoint: string
  region: string
  accessKey: string
  secretKey: string
}

export const ALGORITHM = 'AWS4-HMAC-SHA256'

/** `20261123T045712Z`. */
export function signatureTime(now: Date): string {
  return now.toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
}

/** What a signature is good for, by day. */
export function scopeOf({ region }: Signer, time: string): string {
  return `${time.slice(0, 8)}/${region}/s3/aws4_request`
}

/** In hex, of a canonical request. */
export function sign(signer: Signer, time: string, canonical: string): string {
  const scope = scopeOf(signer, time)
  const text = [ALGORITHM, time, scope, hash('sha256', canonical)].join('\n')
  return createHmac('sha256', keyOf(signer, scope)).update(text).digest('hex')
}

/** Of each signer the key of the day: it takes as long to make as all the rest. */
const keys = new WeakMap<Signer, { scope: string; key: KeyObject }>()

function keyOf(signer: Signer, scope: string): KeyObject {
  const known = keys.get(signer)
  if (known?.scope === scope) return known.key
  let bytes = Buffer.from(`AWS4${signer.secretKey}`)
  for (const part of scope.split('/')) bytes = createHmac('sha256', bytes).update(part).digest()
  const key = createSecretKey(bytes)
  keys.set(signer, { scope, key })
  return key
}
