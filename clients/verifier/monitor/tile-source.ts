// Reads a log that is served over HTTP as c2sp.org/tlog-tiles describes.
import { HASH_BYTES } from '#lib/tlog/merkle.ts'
import { formatTilePath, widthIn, type Tile, type TileName } from '#lib/tlog/tiles.ts'
import { Tampered, Unreachable, Unusable } from '../verdict.ts'

export interface TileSource {
  /** Returns the signed note. */
  checkpoint(): Promise<string>
  /** Returns the tile as it is in the tree of `size` leaves. */
  tile(name: TileName, size: number): Promise<Tile>
}

const TIMEOUT_MS = 10_000

export function openTiles(address: string, token: string | undefined, stopping: AbortSignal): TileSource {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const get = async (path: string): Promise<Buffer | undefined> => {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(TIMEOUT_MS)])
    const { response, body } = await read(`${address}${path}`, { headers, signal, redirect: 'error' }).catch(
      (error: Error) => {
        stopping.throwIfAborted()
        throw new Unreachable(`no response (${(error.cause as Error | undefined)?.message ?? error.message})`)
      },
    )
    if (response.status === 404) return undefined
    if ([401, 403].includes(response.status)) {
      throw new Unusable(`token is missing or not accepted (--token, MODELKEEP_TOKEN): ${body.toString().trim()}`)
    }
    if (!response.ok) throw new Unreachable(`GET ${path} returned ${response.status}: ${body.toString().trim()}`)
    return body
  }
  return {
    async checkpoint() {
      const note = await get('/checkpoint')
      if (!note) throw new Unreachable('log has no checkpoint')
      return note.toString()
    },
    async tile(name, size) {
      const width = widthIn(size, name)
      const path = formatTilePath(name, width)
      // The log may have replaced a partial tile by the full one.
      const hashes = (await get(path)) ?? (await get(formatTilePath(name, 256)))?.subarray(0, width * HASH_BYTES)
      if (hashes?.length !== width * HASH_BYTES) {
        throw new Tampered(`log does not serve ${path}, which its checkpoint of ${size} entries covers`)
      }
      return { ...name, hashes }
    },
  }
}

async function read(url: string, init: RequestInit): Promise<{ response: Response; body: Buffer }> {
  const response = await fetch(url, init)
  return { response, body: Buffer.from(await response.arrayBuffer()) }
}
