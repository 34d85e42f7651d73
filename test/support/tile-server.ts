// Serves a log as c2sp.org/tlog-tiles describes, with any content, honest or not.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { KeyObject } from 'node:crypto'
import { hashLeaf, rootOf, type Range } from '#lib/tlog/merkle.ts'
import { formatCheckpoint, signNote } from '#lib/tlog/note.ts'
import { formatTilePath, growTree } from '#lib/tlog/tiles.ts'

export interface TileServer {
  address: string
  /** Serves the log of these leaves from now on. Returns its checkpoint. */
  show(leaves: string[]): string
  /** The response bodies by path. Tests may change them. */
  answers: Map<string, string | Buffer>
  close(): Promise<void>
}

export async function serveTiles(origin: string, key: KeyObject): Promise<TileServer> {
  const answers = new Map<string, string | Buffer>()
  const server = createServer((request, response) => {
    const body = answers.get(request.url!)
    response.writeHead(body === undefined ? 404 : 200).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answers,
    show(leaves) {
      const range: Range = { size: 0, peaks: [] }
      answers.clear()
      for (const { level, index, hashes } of growTree(
        range,
        leaves.map((leaf) => hashLeaf(leaf)),
      )) {
        answers.set(formatTilePath({ level, index }, hashes.length / 32), hashes)
      }
      const checkpoint = formatCheckpoint({ origin, size: BigInt(range.size), root: rootOf(range) })
      const note = signNote(checkpoint, origin, key)
      answers.set('/checkpoint', note)
      return note
    },
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  }
}
