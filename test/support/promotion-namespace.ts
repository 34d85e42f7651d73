// A namespace for tests of promotions: a model with three versions, and members with roles.
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { GateRulesSchema } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { byName, makeModel, makeNamespace, newName, numbered, type Clients, type Metadata } from './metadata.ts'

export type Rules = MessageInitShape<typeof GateRulesSchema>

export const production = (rules: Rules): Rules => ({ aliasPattern: 'production', ...rules })

/** Returns a function that makes such namespaces: alice creates the versions, bob is a contributor, carol and dave approve. */
export function createNamespacesFor(metadata: Metadata) {
  const { admin } = metadata
  return async (rules?: Rules) => {
    const namespace = await makeNamespace(admin)
    const [alice, bob, carol, dave] = [
      await metadata.member({ [namespace]: 'CONTRIBUTOR' }),
      await metadata.member({ [namespace]: 'CONTRIBUTOR' }),
      await metadata.member({ [namespace]: 'APPROVER' }),
      await metadata.member({ [namespace]: 'APPROVER' }),
    ]
    const model = newName()
    const digests = await makeModel(alice, model, 3, namespace)
    if (rules) await admin.gates.createGate({ namespace, name: 'gate', rules })
    const request = (who: Clients, number: number, expectedNumber = 0, alias = 'production') =>
      who.promotions.requestPromotion({
        version: numbered(model, number, namespace),
        alias,
        expectedNumber,
        reason: 'it is better',
      })
    const pointsAt = async (alias = 'production'): Promise<number> => {
      const { aliases } = await admin.aliases.listAliases({ model: byName(model, namespace) })
      return aliases.find(({ name }) => name === alias)?.number ?? 0
    }
    return { namespace, model, digests, alice, bob, carol, dave, request, pointsAt }
  }
}
