import { OUTBOX_ENTITIES } from '#lib/store/outbox.ts'
import { AnsweredRequest } from '#lib/store/requests.ts'
import { Alias, AliasMove } from './aliases/alias.ts'
import { Evaluation } from './governance/evaluation.ts'
import { Gate, GateRevision } from './governance/gate.ts'
import { RoleBinding } from './identity/role-binding.ts'
import { Token } from './identity/token.ts'
import { ManifestRelease } from './versions/manifest-release.ts'
import { Model, ModelRedirect } from './models/model.ts'
import { Namespace } from './models/namespace.ts'
import { Promotion, PromotionVote } from './governance/promotion.ts'
import { Tombstone } from './models/tombstone.ts'
import { Version, VersionMetric, VersionParent } from './versions/version.ts'

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
