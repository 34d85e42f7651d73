import { OUTBOX_ENTITIES } from '#lib/store/outbox.ts'
import { AnsweredRequest } from '#lib/store/requests.ts'
import { Alias, AliasMove } from './alias.ts'
import { Evaluation } from './evaluation.ts'
import { Gate, GateRevision } from './gate.ts'
import { RoleBinding, Token } from './identity.ts'
import { ManifestRelease } from './manifest-release.ts'
import { Model, ModelRedirect } from './model.ts'
import { Namespace } from './namespace.ts'
import { Promotion, PromotionVote } from './promotion.ts'
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
  Evaluation,
  Gate,
  GateRevision,
  Promotion,
  PromotionVote,
  Tombstone,
  ManifestRelease,
]
