// Requests that are small, but costly for the server.
import { create, toBinary, type DescMethod, type MessageInitShape } from '@bufbuild/protobuf'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { envelope } from '../raw-grpc.ts'

export interface CostlyCall {
  method: DescMethod
  body: Buffer
}

function call<M extends DescMethod>(method: M, init: MessageInitShape<M['input']>): CostlyCall {
  return { method, body: envelope(toBinary(method.input, create(method.input, init))) }
}

/** Returns a test of a condition that matches a regular expression ten times, each of which takes RE2 seconds. `model` must
 * have a version 1. */
export function costlyCondition(model: string): CostlyCall {
  const expression = `[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].exists(n, "${'ab'.repeat(750)}".matches("(a|b)*a(a|b){900}[cd]$"))`
  return call(GateService.method.testGate, {
    version: { ref: { case: 'name', value: { model, selector: { case: 'number', value: 1 } } } },
    alias: 'live',
    rules: { aliasPattern: 'live', conditions: [{ expression, sentence: 'it never ends' }] },
  })
}

/** Returns a manifest with as many files as fit into a request, each in its own directory, of blobs that do not exist. */
export function costlyManifest(): CostlyCall {
  const digest = `sha256:${'0'.repeat(64)}`
  const files = Array.from({ length: 30_000 }, (_, number) => ({ path: `${number}/a/b/c`, digest, sizeBytes: 1n }))
  return call(ManifestService.method.createManifest, { files })
}

/** Returns lists whose filters have as many conditions as allowed, on JSON columns of each row. */
export function costlyFilters(): CostlyCall[] {
  const conditions = (condition: (number: number) => string): string =>
    Array.from({ length: 60 }, (_, number) => condition(number)).join(' OR ')
  return [
    call(VersionService.method.listVersions, { filter: conditions((number) => `source.commit = "c${number}"`) }),
    call(LogService.method.listEntries, { filter: conditions((number) => `reason:"word ${number}"`) }),
  ]
}
