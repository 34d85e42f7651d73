// Audit services and their witnesses for tests of published checkpoints. Everything that is opened is closed after each test,
// and removed after the last one.
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, inject, vi } from 'vitest'
import { parsePolicy } from '#lib/tlog/policy.ts'
import type { Cosigning } from '../../services/audit/witnesses/cosigning.ts'
import { makeEvents, startAudit, type RunningAudit } from './audit.ts'
import { closeSql, createDatabase, runSql } from './database.ts'
import { startWitness, type RunningWitness } from './witness.ts'

const undo: (() => Promise<unknown>)[] = []
const closing: (() => Promise<unknown>)[] = []

/** Makes a directory for the tests of a file, and registers what closes and removes all that they open. Every file calls it:
 * files that run in one process share this module. */
export async function prepareHome(): Promise<string> {
  vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-publish-'))
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close()
  })
  afterAll(async () => {
    await Promise.all(undo.splice(0).map((step) => step()))
    await rm(home, { recursive: true, force: true })
  })
  return home
}

export async function freshDatabase(): Promise<string> {
  const database = await createDatabase()
  undo.push(() => database.drop())
  return database.url
}

export async function witnessOf(
  vkeys: string[],
  init: Parameters<typeof startWitness>[0] = {},
): Promise<RunningWitness> {
  const witness = await startWitness({ vkeys, ...init })
  closing.push(() => witness.close())
  undo.push(() => rm(witness.directory, { recursive: true, force: true }))
  return witness
}

/** Starts an HTTP server in place of a witness, and returns its address. */
export async function serveFakeWitness(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

type Seat = Pick<RunningWitness, 'vkey' | 'url'>
export function cosigningBy(seats: Seat[], needed: number | 'all' | 'any' = 'all', withhold = false): Cosigning {
  const lines = seats.map(({ vkey, url }, at) => `witness w${at} ${vkey} ${url}`)
  const group = `group g ${needed} ${seats.map((_seat, at) => `w${at}`).join(' ')}`
  return { policy: parsePolicy([...lines, group, 'quorum g'].join('\n')), timeoutMs: 500, withhold }
}

export async function start(url: string, options: Parameters<typeof startAudit>[1]): Promise<RunningAudit> {
  const audit = await startAudit(url, options)
  closing.push(() => audit.close())
  return audit
}
export const closeLast = async () => void (await closing.pop()!())

export const append = (audit: RunningAudit, first: number, count: number) =>
  audit.ingest.appendEvents({ events: makeEvents(first, count) })

/** Waits for a published checkpoint of at least `size` entries. */
export const published = (audit: RunningAudit, size: number) =>
  vi.waitFor(async () => (await audit.proofs.getCheckpoint({ minSize: BigInt(size) })).checkpoint!, 20_000)

/** Copies a database while nobody is connected, as a backup does. */
export async function copyOf(url: string): Promise<string> {
  const { pathname } = new URL(url)
  const name = `${pathname.slice(1)}_copy`
  await closeSql(url)
  await runSql(inject('postgresUrl'), `create database ${name} template ${pathname.slice(1)}`)
  undo.push(() => runSql(inject('postgresUrl'), `drop database ${name} with (force)`))
  const copy = new URL(url)
  copy.pathname = name
  return copy.href
}
