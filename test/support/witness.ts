// A witness on a real socket and directory, and a log in memory.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '#lib/process/log.ts'
import { appendLeaf, consistencyParts, EMPTY_ROOT, hashLeaf, hashNode, rootOf, type Node } from '#lib/tlog/merkle.ts'
import { findVerifier, formatCheckpoint, formatVerifierKey, KEY_TYPE, signNote, type Verifier } from '#lib/tlog/note.ts'
import { serveWitness } from '../../services/witness/server.ts'
import { StateDirectory } from '../../services/witness/store/state.ts'
import type { Witness } from '../../services/witness/add-checkpoint.ts'

export const makeKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey

export const ORIGIN = 'log.example/test'

/** A log whose entries are numbers; from the index of a fork on, `fork` precedes them. */
export class MemoryLog {
  readonly key = makeKey()
  readonly origin: string
  readonly #leaves: Buffer[]

  constructor(origin = ORIGIN, forkFrom = Infinity) {
    this.origin = origin
    this.#leaves = Array.from({ length: 300 }, (_, index) => hashLeaf(index < forkFrom ? `${index}` : `fork ${index}`))
  }

  get vkey(): string {
    return formatVerifierKey(this.origin, this.key)
  }

  root(size: number): Buffer {
    const range = { size: 0, peaks: [] as Buffer[] }
    for (const leaf of this.#leaves.slice(0, size)) appendLeaf(range, leaf)
    return size === 0 ? EMPTY_ROOT : rootOf(range)
  }

  text(size: number): string {
    return formatCheckpoint({ origin: this.origin, size: BigInt(size), root: this.root(size) })
  }

  checkpoint(size: number, key = this.key): string {
    return signNote(this.text(size), this.origin, key)
  }

  proof(oldSize: number, size: number): Buffer[] {
    if (oldSize === 0) return []
    return consistencyParts(oldSize, size).map((part) => part.map((node) => this.#hash(node)).reduceRight(joinRight))
  }

  #hash({ level, index }: Node): Buffer {
    if (level === 0) return this.#leaves[index]!
    return hashNode(
      this.#hash({ level: level - 1, index: 2 * index }),
      this.#hash({ level: level - 1, index: 2 * index + 1 }),
    )
  }
}

const joinRight = (right: Buffer, left: Buffer) => hashNode(left, right)

export function addBody(oldSize: number | string, proof: Buffer[], note: string): string {
  return `old ${oldSize}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`
}

export interface RunningWitness {
  url: string
  cosigner: Verifier
  vkey: string
  directory: string
  /** The witness behind the socket. */
  witness: Witness
  logs: string[]
  close(): Promise<void>
}

export interface WitnessInit {
  vkeys?: string[]
  directory?: string
  key?: KeyObject
  name?: string
  now?: () => number
  port?: number
}

export async function startWitness({ vkeys = [], ...init }: WitnessInit = {}): Promise<RunningWitness> {
  const { key = makeKey(), name = 'witness.example/w1', now = Date.now } = init
  const directory = init.directory ?? (await mkdtemp(join(tmpdir(), 'modelkeep-witness-')))
  const vkey = formatVerifierKey(name, key, KEY_TYPE.cosignature)
  const cosigner = findVerifier(vkey, KEY_TYPE.cosignature)!
  const known = new Map<string, Verifier[]>()
  for (const log of vkeys.map((text) => findVerifier(text)!)) known.set(log.name, [...(known.get(log.name) ?? []), log])
  const logs: string[] = []
  const logger = createLogger('witness', 'info', { write: (line: string) => void logs.push(line) })
  const witness = { cosigner, key, logs: known, state: new StateDirectory(directory), logger, now }
  const served = await serveWitness(witness, { host: '127.0.0.1', port: init.port ?? 0 })
  const url = `http://127.0.0.1:${served.port}`
  return { url, cosigner, vkey, directory, witness, logs, close: () => served.close(100) }
}

export async function post(url: string, body: string): Promise<{ status: number; type: string | null; body: string }> {
  const answer = await fetch(`${url}/add-checkpoint`, { method: 'POST', body })
  return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.text() }
}
