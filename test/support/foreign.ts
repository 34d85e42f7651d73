// A foreign client: @grpc/grpc-js with only the protos.
import { credentials, loadPackageDefinition, Metadata, type Client, type GrpcObject } from '@grpc/grpc-js'
import { loadSync, type PackageDefinition } from '@grpc/proto-loader'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const PROTO = fileURLToPath(new URL('../../proto', import.meta.url))
const OPTIONS = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true }

/** Loads a proto of this repository by its path below `proto`. */
export function loadProto(path: string): PackageDefinition {
  return loadSync(join(PROTO, path), { ...OPTIONS, includeDirs: [PROTO] })
}

/** Loads a proto of an npm package. */
export function loadPackageProto(name: string, path: string): PackageDefinition {
  return loadSync(join(dirname(require.resolve(`${name}/package.json`)), path), OPTIONS)
}

export type ForeignClient = Client & Record<string, (...args: unknown[]) => unknown>

/** `service` is the full name. */
export function foreignClient(definition: PackageDefinition, service: string, port: number): ForeignClient {
  let found: unknown = loadPackageDefinition(definition)
  for (const part of service.split('.')) found = (found as GrpcObject)[part]
  const Constructor = found as new (address: string, channelCredentials: unknown) => ForeignClient
  return new Constructor(`127.0.0.1:${port}`, credentials.createInsecure())
}

/** Makes a unary call. */
export function callUnary(
  client: ForeignClient,
  method: string,
  request: object,
  token = '',
): Promise<Record<string, unknown>> {
  const metadata = new Metadata()
  if (token !== '') metadata.set('authorization', `Bearer ${token}`)
  return new Promise((resolve, reject) => {
    client[method]!(request, metadata, (error: Error | null, answer: Record<string, unknown>) =>
      error ? reject(error) : resolve(answer),
    )
  })
}
