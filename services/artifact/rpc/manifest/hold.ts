// The retention of a manifest by a version, which protects it from garbage collection.
import { fail, failField } from '#lib/errors/errors.ts'
import { parseDigest, parseUuid } from '#lib/values/ids.ts'
import { parseNamespace } from '../../domain/namespace.ts'

export function parseHold(request: { namespace: string; digest: string; versionId: string }) {
  if (request.namespace === '') failField('namespace', 'must not be empty')
  const digest = parseDigest(request.digest, 'digest')
  return {
    namespace: parseNamespace(request.namespace, 'namespace'),
    digest,
    versionId: parseUuid(request.versionId, 'version_id'),
  }
}

export function failManifestNotFound(namespace: string, digest: string): never {
  fail('MANIFEST_NOT_FOUND', `manifest ${digest} not found in namespace "${namespace}"`, { digest })
}
