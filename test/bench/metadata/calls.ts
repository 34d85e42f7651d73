// The calls whose rate is measured, encoded once for gRPC and for Connect JSON.
import { create, fromBinary, toBinary, toJsonString, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf'
import {
  CreateManifestRequestSchema,
  CreateManifestResponseSchema,
} from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { SetAliasesRequestSchema } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import {
  CreateVersionRequestSchema,
  CreateVersionResponseSchema,
  ListVersionsRequestSchema,
  ResolveVersionRequestSchema,
} from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { VERSION_FACTS } from './facts.ts'
import { grpcFrame, type Call } from './load.ts'

export type Encoding = 'gRPC' | 'JSON'

type Selector = { case: 'alias'; value: string } | { case: 'number'; value: number } | { case: 'digest'; value: string }

function encode<D extends DescMessage>(encoding: Encoding, path: string, schema: D, init: MessageInitShape<D>): Call {
  const message = create(schema, init)
  const body = encoding === 'gRPC' ? grpcFrame(toBinary(schema, message)) : Buffer.from(toJsonString(schema, message))
  return { path, body }
}

const named = (model: string) => ({ ref: { case: 'name' as const, value: { model } } })

export function resolveCall(encoding: Encoding, model: string, selector: Selector): Call {
  const ref = { ref: { case: 'name' as const, value: { model, selector } } }
  const path = '/modelkeep.metadata.v1.VersionService/ResolveVersion'
  return encode(encoding, path, ResolveVersionRequestSchema, { ref })
}

export function listCall(encoding: Encoding, model: string, pageSize: number): Call {
  const path = '/modelkeep.metadata.v1.VersionService/ListVersions'
  return encode(encoding, path, ListVersionsRequestSchema, { model: named(model), pageSize })
}

export function createCall(encoding: Encoding, model: string, manifestDigest: string): Call {
  const path = '/modelkeep.metadata.v1.VersionService/CreateVersion'
  return encode(encoding, path, CreateVersionRequestSchema, {
    model: named(model),
    manifestDigest,
    facts: VERSION_FACTS,
  })
}

export function aliasCall(encoding: Encoding, model: string, number: number, expectedNumber: number): Call {
  const path = '/modelkeep.metadata.v1.AliasService/SetAliases'
  const target = { name: 'live', target: { case: 'number' as const, value: number }, expectedNumber }
  return encode(encoding, path, SetAliasesRequestSchema, { model: named(model), targets: [target] })
}

/** A manifest of one blob, whose digest depends on `name`. */
export function manifestCall(name: string, blob: { digest: string; size: number }): Call {
  const path = '/modelkeep.artifact.v1.ManifestService/CreateManifest'
  return encode('gRPC', path, CreateManifestRequestSchema, {
    files: [{ path: name, digest: blob.digest, sizeBytes: BigInt(blob.size) }],
  })
}

const FRAME_HEADER_BYTES = 5

export function createdManifest(answer: Buffer): string {
  return fromBinary(CreateManifestResponseSchema, answer.subarray(FRAME_HEADER_BYTES)).manifest!.digest
}

export function createdVersion(answer: Buffer): number {
  return fromBinary(CreateVersionResponseSchema, answer.subarray(FRAME_HEADER_BYTES)).version!.number
}
