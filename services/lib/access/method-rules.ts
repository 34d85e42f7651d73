// Access rules of RPCs. Our protos declare them; rules for RPCs of foreign protos are listed here. An RPC without a rule
// cannot be called.
import { create, getOption, hasOption, type DescMethod } from '@bufbuild/protobuf'
import { access, AccessSchema, DownloadAudit, Permission, type Access } from '#gen/modelkeep/common/v1/access_pb.ts'

const FOREIGN: Record<string, Access> = {
  'google.bytestream.ByteStream/Read': create(AccessSchema, {
    permission: Permission.READ,
    download: DownloadAudit.ALL,
  }),
  'google.bytestream.ByteStream/Write': create(AccessSchema, { permission: Permission.WRITE, audited: true }),
  'google.bytestream.ByteStream/QueryWriteStatus': create(AccessSchema, { permission: Permission.WRITE }),
}

const UNDECLARED = create(AccessSchema)

/** Options are decoded at each access, so each method's are decoded once. */
const rules = new WeakMap<DescMethod, Access>()

export function accessRuleOf(method: DescMethod): Access {
  const known = rules.get(method)
  if (known) return known
  const rule = findRule(method)
  rules.set(method, rule)
  return rule
}

function findRule(method: DescMethod): Access {
  if (hasOption(method, access)) return getOption(method, access)
  const name = methodName(method)
  return Object.hasOwn(FOREIGN, name) ? FOREIGN[name]! : UNDECLARED
}

/** Returns the full name of the RPC, for example `modelkeep.metadata.v1.ModelService/CreateModel`. */
export function methodName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`
}
