import type { ServiceImpl } from '@connectrpc/connect'
import type { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { createVersion } from './create-version.ts'
import type { RegistryDeps } from '../../deps.ts'
import { deleteVersion } from './delete-version.ts'
import { updateVersion } from './update-version.ts'
import { resolveVersion } from './resolve-version.ts'
import { listVersions } from './list-versions.ts'

export function versionRoutes(deps: RegistryDeps): ServiceImpl<typeof VersionService> {
  return {
    createVersion: (request, context) => createVersion(deps, request, context),
    resolveVersion: (request, context) => resolveVersion(deps, request, context),
    listVersions: (request, context) => listVersions(deps, request, context),
    updateVersion: (request, context) => updateVersion(deps, request, context),
    deleteVersion: (request, context) => deleteVersion(deps, request, context),
  }
}
