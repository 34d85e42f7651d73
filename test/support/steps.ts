// The steps of the main job. A test tries each, kills a service meanwhile, and tries it again.
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { randomBytes, randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { runSql } from './database.ts'
import {
  createManifest,
  createModel,
  createVersion,
  digestOf,
  download,
  modelRef,
  readLog,
  uploadBytes,
} from './journey.ts'
import type { Suite } from './suite.ts'

export interface Attempt {
  /** Makes the same call with the same request id each time. */
  call: () => Promise<unknown>
  /** Reads the first bytes of the response, and the rest when `isAnswered` is called. */
  stall?: () => Promise<{ isAnswered: () => Promise<boolean> }>
  isDone: () => Promise<boolean>
  isLogged: () => Promise<boolean>
  /** Checks that the step took effect exactly once. */
  check: () => Promise<void>
}

export type StepName = 'upload' | 'registration' | 'move' | 'download'

export const STEPS: Record<StepName, (suite: Suite) => Promise<Attempt>> = {
  upload,
  registration,
  move,
  download: downloading,
}

/** More bytes than one part, and than the buffers of a connection. */
const LARGE = 20 * 1024 * 1024

async function upload(suite: Suite): Promise<Attempt> {
  const bytes = randomBytes(LARGE)
  const digest = digestOf(bytes)
  const caller = await asNewCaller(suite)
  const blobs = () => runSql(suite.databaseUrl, 'select 1 from artifact.blob where digest = ?', [digest])
  const events = () => readLog(suite, `type = "blob.committed.v1" AND resource.digest = "${digest}"`)
  return {
    call: () => uploadBytes(caller, bytes),
    isDone: async () => (await blobs()).length === 1,
    isLogged: async () => (await events()).length === 1,
    async check() {
      expect((await download(suite, digest)).equals(bytes)).toBe(true)
      expect(await blobs()).toHaveLength(1)
      await expect.poll(events, POLL).toHaveLength(1)
    },
  }
}

async function registration(suite: Suite): Promise<Attempt> {
  const name = `model-${randomUUID()}`
  const model = modelRef(name)
  await createModel(suite, name)
  const manifestDigest = await createManifest(suite, { 'model.bin': randomBytes(1000) })
  const request = { model, manifestDigest, requestId: randomUUID() }
  const numbers = async () =>
    (await suite.client(VersionService).listVersions({ model })).versions.map(({ number }) => number)
  const events = () => readLog(suite, `type = "version.created.v1" AND resource.name : "default/${name}:"`)
  return {
    async call() {
      const { version } = await suite.client(VersionService).createVersion(request)
      expect(version!.number).toBe(1)
    },
    isDone: async () => (await numbers()).length === 1,
    isLogged: async () => (await events()).length === 1,
    async check() {
      expect(await numbers()).toEqual([1])
      await expect.poll(events, POLL).toHaveLength(1)
    },
  }
}

async function move(suite: Suite): Promise<Attempt> {
  const name = `model-${randomUUID()}`
  const model = modelRef(name)
  await createModel(suite, name)
  await createVersion(suite, name, randomBytes(100))
  const targets = [{ name: 'production', target: { case: 'number' as const, value: 1 }, expectedNumber: 0 }]
  const request = { model, targets, reason: 'because', requestId: randomUUID() }
  const moves = async () =>
    (await suite.client(AliasService).listAliasMoves({ model })).moves.map((one) => [one.fromNumber, one.toNumber])
  const events = () => readLog(suite, `type = "alias.moved.v1" AND resource.name : "default/${name}@production"`)
  return {
    async call() {
      const { aliases } = await suite.client(AliasService).setAliases(request)
      expect(aliases[0]!.number).toBe(1)
    },
    isDone: async () => (await moves()).length === 1,
    isLogged: async () => (await events()).length === 1,
    async check() {
      expect(await moves()).toEqual([[0, 1]])
      await expect.poll(events, POLL).toHaveLength(1)
    },
  }
}

async function downloading(suite: Suite): Promise<Attempt> {
  const bytes = randomBytes(LARGE)
  const digest = await uploadBytes(suite, bytes)
  const caller = await asNewCaller(suite)
  let isWhole = false
  const call = async (): Promise<void> => {
    isWhole = (await download(caller, digest)).equals(bytes)
    expect(isWhole).toBe(true)
  }
  return {
    call,
    async stall() {
      const messages = suite.client(BlobService).downloadBlob({ namespace: 'default', digest })[Symbol.asyncIterator]()
      // This is the header and some bytes.
      for (let count = 0; count < 2; count += 1) expect((await messages.next()).done).toBe(false)
      const readOn = async (): Promise<boolean> => {
        while (!(await messages.next()).done);
        return true
      }
      return { isAnswered: () => readOn().catch(() => false) }
    },
    isDone: async () => isWhole,
    isLogged: async () => false,
    check: async () => expect(isWhole).toBe(true),
  }
}

const POLL = { timeout: 30_000 }

/** Returns a caller whose token no service has cached. */
async function asNewCaller(suite: Suite): Promise<Suite> {
  const identity = suite.client(IdentityService)
  const principal = `caller-${randomUUID()}`
  await identity.grantRole({ principal, namespace: 'default', role: Role.CONTRIBUTOR })
  const { secret: token } = await identity.createToken({
    principal,
    expireTime: timestampFromMs(Date.now() + 3_600_000),
  })
  return { ...suite, client: (service, options) => suite.client(service, { token, ...options }) }
}
