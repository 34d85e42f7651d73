import { OUTBOX_ENTITIES } from '#lib/store/outbox.ts'
import { AnsweredRequest } from '#lib/store/requests.ts'
import { Alias, AliasMove } from './alias.ts'
import { RoleBinding, Token } from './identity.ts'
import { ManifestRelease } from './manifest-release.ts'
import { Model, ModelRedirect } from './model.ts'
import { Namespace } from './namespace.ts'
import { Tombstone } from './tombstone.ts'
import { Version, VersionMetric, VersionParent } from './version.ts'

export const ENTITIES = [
  ...OUTBOX_ENTITIES,
  AnsweredRequest,
  Token,
  RoleBinding,
  Namespace,
  Model,
  ModelRedirect,
  Version,
  VersionMetric,
  VersionParent,
  Alias,
  AliasMove,
  Tombstone,
  ManifestRelease,
]
