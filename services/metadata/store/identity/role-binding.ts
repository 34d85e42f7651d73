import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn } from '#lib/store/time.ts'
import type { RoleName } from '../../domain/identity.ts'

const RoleBindingSchema = defineEntity({
  name: 'RoleBinding',
  tableName: 'role_binding',
  properties: {
    id: p.uuid().primary(),
    principal: p.text(),
    /** The name of a namespace, or `*`. */
    namespace: p.text(),
    role: p.text().$type<RoleName>(),
    createTime: createTimeColumn(),
  },
  indexes: [{ name: 'role_binding_namespace_principal_index', properties: ['namespace', 'principal'] }],
  uniques: [{ name: 'role_binding_principal_namespace_unique', properties: ['principal', 'namespace'] }],
  checks: [{ name: 'role_binding_role_check', expression: `role in ('READER', 'CONTRIBUTOR', 'APPROVER', 'ADMIN')` }],
})
export class RoleBinding extends RoleBindingSchema.class {}
RoleBindingSchema.setClass(RoleBinding)
