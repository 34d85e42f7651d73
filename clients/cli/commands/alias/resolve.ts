// resolve: which version a reference points at, now or at a past time.
import { create } from '@bufbuild/protobuf'
import { TimestampSchema } from '@bufbuild/protobuf/wkt'
import { VersionSchema, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import type { Context } from '../../context.ts'
import { parseTime, type Time } from '../../arguments/facts.ts'
import { jsonOf, versionName } from '../../terminal/output.ts'
import { distrust } from '../../pull/manifest.ts'
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
  refuseSwapped(text, version!)
  return version!
}

/** A version that is referenced by its digest must have it. */
function refuseSwapped(text: string, { digest }: Version): void {
  const ref = parseRef(text)
  const asked = 'selector' in ref && ref.selector?.case === 'digest' ? ref.selector.value : digest
  if (asked !== digest) distrust(`server returned ${digest} instead of ${asked}`)
}

/** For changes: where the reference may lead elsewhere tomorrow, it is followed now, and people are told where. */
export async function resolveExact(context: Context, text: string): Promise<ExactVersionRef> {
  const parsed = parseRef(text, context.namespace)
  if ('id' in parsed || parsed.selector?.case === 'number') return parseExactRef(text, context.namespace)
  const version = await resolveRef(context, text)
  context.note(`${text} is ${versionName(version)}`)
  return { ref: { case: 'id', value: version.id } }
}
