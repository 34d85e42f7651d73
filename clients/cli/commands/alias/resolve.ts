// The command resolve prints the version that a reference names, now or at a past time.
import { create } from '@bufbuild/protobuf'
import { TimestampSchema } from '@bufbuild/protobuf/wkt'
import { VersionSchema, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import type { Context } from '../../context.ts'
import { parseTime, type Time } from '../../arguments/facts.ts'
import { jsonOf, versionName } from '../../terminal/output.ts'
import { failIntegrity } from '../../pull/manifest.ts'
import { parseExactRef, parseRef, parseVersionRef, type ExactVersionRef } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'

export async function resolve(context: Context, text: string, { at }: { at?: string }): Promise<void> {
  const { output } = context
  const version = await resolveRef(context, text, at === undefined ? undefined : parseTime(at, '--at'))
  if (output.json) return output.document(jsonOf(VersionSchema, version))
  output.write(`${versionName(version)} ${version.digest}`)
}

export async function resolveRef(context: Context, text: string, at?: Time): Promise<Version> {
  const ref = parseVersionRef(text, context.namespace)
  const registry = context.registry()
  const request = { ref, ...(at && { atTime: create(TimestampSchema, at) }) }
  const { version } = await registry.metadata(VersionService).resolveVersion(request, unary(registry))
  requireDigest(text, version!)
  return version!
}

/** Throws CliError if a version that was requested by digest has another one. */
function requireDigest(text: string, { digest }: Version): void {
  const ref = parseRef(text)
  const requested = 'selector' in ref && ref.selector?.case === 'digest' ? ref.selector.value : digest
  if (requested !== digest) failIntegrity(`server returned ${digest} instead of ${requested}`)
}

/** Resolves a reference for a change. If it is not exact, the version that it names now is used, and printed. */
export async function resolveExact(context: Context, text: string): Promise<ExactVersionRef> {
  const parsed = parseRef(text, context.namespace)
  if ('id' in parsed || parsed.selector?.case === 'number') return parseExactRef(text, context.namespace)
  const version = await resolveRef(context, text)
  context.note(`${text} is ${versionName(version)}`)
  return { ref: { case: 'id', value: version.id } }
}
