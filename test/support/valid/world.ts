// All services with the resources that valid requests need, and helpers that create more of them.
import type { DescMessage, DescMethod, DescService, Message, MessageInitShape } from '@bufbuild/protobuf'
import { create } from '@bufbuild/protobuf'
import type { Client } from '@connectrpc/connect'
import { createHash, randomUUID } from 'node:crypto'
import { BlobService } from '../../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '../../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '../../../gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { Role } from '../../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { AliasService } from '../../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { IdentityService } from '../../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '../../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { VersionService } from '../../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import { startAllServices, type AllServices, type AllServicesOptions } from '../all-services.ts'

export interface World {
  all: AllServices
  admin: <S extends DescService>(service: S) => Client<S>
  manifest: string
  /** Version 1 of the model `scorer`. */
  versionId: string
  /** The token that creates uploads, which other callers cannot see. */
  uploader: string
  /** Whether each request that changes gates or namespaces gets a new namespace, or `default` serves all. */
  rooms: 'own' | 'default'
}

/** A valid request or the messages of a stream. If the call changes a resource, each request is for a new one. */
export interface Valid {
  method: DescMethod
  token: string
  make: (world: World) => Promise<Message[]>
  /** In a further request of an RPC, the only fields to make hostile. */
  only?: string[]
  /** Verdicts that differ from the rule of a field in this request, keyed by `{field} {what}`. */
  verdicts?: Record<string, string>
}

type Init<I extends DescMessage> = MessageInitShape<I>

export function valid<I extends DescMessage>(
  method: DescMethod & { input: I },
  make: (world: World) => Init<I> | Promise<Init<I>>,
  token = 'mk_admin',
): Valid {
  return { method, token, make: async (world) => [create(method.input, await make(world))] }
}

/** The same for a stream of messages; the test makes the first one hostile. */
export function validStream<I extends DescMessage>(
  method: DescMethod & { input: I },
  make: (world: World) => Init<I>[] | Promise<Init<I>[]>,
): Valid {
  const token = 'mk_admin'
  return { method, token, make: async (world) => (await make(world)).map((message) => create(method.input, message)) }
}

export const BYTES = Buffer.from('the bytes of a model')
export const DIGEST = digestOf(BYTES)
export const SCORER = named('scorer')
export const FIRST = { ref: { case: 'name' as const, value: { namespace: 'default', model: 'scorer', number: 1 } } }

type Selector = { case: 'number'; value: number } | { case: 'alias' | 'semver'; value: string }

export function scorerBy(selector: Selector) {
  return { ref: { case: 'name' as const, value: { model: 'scorer', selector } } }
}

export async function startWorld(options: AllServicesOptions): Promise<World> {
  const all = await startAllServices(options)
  const admin: World['admin'] = (service) => all.client(service, 'mk_admin')
  const world: World = { all, admin, manifest: '', versionId: '', uploader: 'mk_admin', rooms: 'own' }
  await upload(world, BYTES)
  const files = [{ path: 'model.bin', digest: DIGEST, sizeBytes: BigInt(BYTES.length) }]
  world.manifest = (await world.admin(ManifestService).createManifest({ files })).manifest!.digest
  await world.admin(ModelService).createModel({ name: 'scorer' })
  const { version } = await world
    .admin(VersionService)
    .createVersion({ model: SCORER, manifestDigest: world.manifest, semver: '1.0.0' })
  world.versionId = version!.id
  const champion = { name: 'champion', target: { case: 'number' as const, value: 1 } }
  await world.admin(AliasService).setAliases({ model: SCORER, targets: [champion] })
  await world.admin(IdentityService).grantRole({ principal: 'approver', role: Role.APPROVER })
  return world
}

let names = 0
export function newName(): string {
  return `thing-${(names += 1)}`
}

export function newBytes(): Buffer {
  return Buffer.from(`bytes ${randomUUID()}`)
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function named(model: string, namespace = 'default') {
  return { ref: { case: 'name' as const, value: { namespace, model } } }
}

export async function upload(world: World, bytes: Buffer): Promise<void> {
  async function* messages() {
    const header = { digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) }
    yield { message: { case: 'header' as const, value: header } }
    yield { message: { case: 'chunk' as const, value: bytes } }
  }
  await world.admin(BlobService).uploadBlob(messages())
}

/** Creates a manifest that no version has. */
export async function makeManifest({ admin }: World): Promise<string> {
  const files = [{ path: `${newName()}.bin`, digest: DIGEST, sizeBytes: BigInt(BYTES.length) }]
  return (await admin(ManifestService).createManifest({ files })).manifest!.digest
}

export async function makeModel({ admin }: World, namespace = 'default') {
  return (await admin(ModelService).createModel({ name: newName(), namespace })).model!
}

/** Creates version 1 of a new model. */
export async function makeVersion(world: World, creator = 'mk_admin') {
  const { name } = await makeModel(world)
  const request = { model: named(name), manifestDigest: world.manifest }
  return (await world.all.client(VersionService, creator).createVersion(request)).version!
}

/** Creates an open upload; `bytes` are uploaded as its only part. */
export async function makeUpload({ all, uploader }: World, sizeBytes: number, bytes?: Buffer): Promise<string> {
  const digest = bytes ? digestOf(bytes) : digestOf(newBytes())
  const uploads = all.client(UploadService, uploader)
  const { result } = await uploads.startUpload({ digest, sizeBytes: BigInt(sizeBytes) })
  if (result.case !== 'upload') throw new Error('the upload has a blob already')
  const uploadId = result.value.id
  if (!bytes) return uploadId
  async function* messages() {
    const sha256 = createHash('sha256').update(bytes!).digest()
    yield { message: { case: 'header' as const, value: { uploadId, number: 1, sha256 } } }
    yield { message: { case: 'chunk' as const, value: bytes! } }
  }
  await uploads.writePart(messages())
  return uploadId
}
