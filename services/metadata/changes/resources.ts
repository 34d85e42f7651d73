// Resources in the form that events contain.
import { ALL_NAMESPACES } from '#lib/access/caller.ts'
import type { Gate } from '../store/governance/gate.ts'
import type { Promotion } from '../store/governance/promotion.ts'
import type { RoleBinding } from '../store/identity/role-binding.ts'
import type { Token } from '../store/identity/token.ts'
import type { Model } from '../store/models/model.ts'
import type { Namespace } from '../store/models/namespace.ts'
import type { Version } from '../store/versions/version.ts'

export function namespaceResource({ id, name }: Namespace) {
  return { type: 'namespace', id, namespace: name, name }
}

export function modelResource({ id, namespace, name }: Pick<Model, 'id' | 'namespace' | 'name'>) {
  return { type: 'model', id, namespace, name: `${namespace}/${name}` }
}

export function versionResource({
  id,
  namespace,
  modelName,
  number,
  digest,
}: Pick<Version, 'id' | 'namespace' | 'modelName' | 'number' | 'digest'>) {
  return { type: 'version', id, namespace, name: `${namespace}/${modelName}:${number}`, digest }
}

/** An evaluation is named after the version that was evaluated. */
export function evaluationResource(id: string, { namespace, modelName, number, digest }: Version) {
  return { type: 'evaluation', id, namespace, name: `${namespace}/${modelName}:${number}`, digest }
}

export function gateResource({ id, namespace, name }: Pick<Gate, 'id' | 'namespace' | 'name'>) {
  return { type: 'gate', id, namespace, name: `${namespace}/${name}` }
}

export function promotionResource({ id, namespace, modelName, alias, digest }: Promotion) {
  return { type: 'promotion', id, namespace, name: `${namespace}/${modelName}@${alias}`, digest }
}

/** A token belongs to the whole installation. */
export function tokenResource({ id, principal }: Pick<Token, 'id' | 'principal'>) {
  return { type: 'token', id, namespace: '', name: principal }
}

/** A role on `*` belongs to the whole installation. */
export function roleResource({ id, namespace, principal }: Pick<RoleBinding, 'id' | 'namespace' | 'principal'>) {
  return { type: 'role', id, namespace: namespace === ALL_NAMESPACES ? '' : namespace, name: principal }
}
