// Changes of the metadata service that tests interrupt and repeat.
import { expect } from 'vitest'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { byName, newDigest, newName, numbered } from './metadata.ts'
import type { KillableClients } from './killable-metadata.ts'

export interface Change {
  /** The model that the change concerns. */
  model: string
  call: (requestId: string) => Promise<unknown>
  isDone: () => Promise<boolean>
  events: number
}

interface People {
  admin: KillableClients
  alice: KillableClients
}

/** Changes by name, each with the function that prepares it and the first statement that is specific to it. */
export const CHANGES: [string, (people: People) => Promise<Change>, RegExp][] = [
  ['a new model', creation, /insert into .*"model"/],
  ['a new version', registration, /insert into version /],
  ['a move of an alias', move, /insert into .*alias_move/],
  ['a promotion that is applied', promotion, /insert into .*promotion_vote/],
]

async function creation({ admin }: People): Promise<Change> {
  const model = newName()
  return {
    model,
    call: (requestId) => admin.models.createModel({ name: model, requestId }),
    isDone: async () => (await admin.models.listModels({ filter: `name = ${model}` })).models.length === 1,
    events: 1,
  }
}

export async function registration({ admin }: People): Promise<Change> {
  const model = await newModel(admin, 0)
  const manifestDigest = newDigest()
  return {
    model,
    call: (requestId) => admin.versions.createVersion({ model: byName(model), manifestDigest, requestId }),
    isDone: async () => (await admin.versions.listVersions({ model: byName(model) })).versions[0]?.number === 1,
    events: 1,
  }
}

async function move({ admin }: People): Promise<Change> {
  const model = await newModel(admin, 1)
  const targets = [{ name: 'production', target: { case: 'number' as const, value: 1 } }]
  return {
    model,
    call: (requestId) => admin.aliases.setAliases({ model: byName(model), targets, reason: 'because', requestId }),
    isDone: async () => (await pointsAt(admin, model)) === 1,
    events: 1,
  }
}

/** The last approval, which applies the promotion: three events in one transaction. */
async function promotion({ admin, alice }: People): Promise<Change> {
  const model = await newModel(alice, 1)
  const rules = { aliasPattern: model, approvalsRequired: 1 }
  await admin.gates.createGate({ namespace: 'default', name: model, rules })
  const asked = await alice.promotions.requestPromotion({ version: numbered(model, 1), alias: model, reason: 'better' })
  const { id } = asked.promotion!
  return {
    model,
    call: (requestId) => admin.promotions.approvePromotion({ id, reason: 'measured', requestId }),
    async isDone() {
      const isApplied = (await admin.promotions.getPromotion({ id })).promotion!.state === PromotionState.APPLIED
      expect(await pointsAt(admin, model)).toBe(isApplied ? 1 : undefined)
      return isApplied
    },
    events: 3,
  }
}

export async function newModel(clients: KillableClients, versions: number): Promise<string> {
  const name = newName()
  await clients.models.createModel({ name })
  for (let number = 1; number <= versions; number += 1) {
    await clients.versions.createVersion({ model: byName(name), manifestDigest: newDigest() })
  }
  return name
}

async function pointsAt(clients: KillableClients, model: string): Promise<number | undefined> {
  return (await clients.aliases.listAliases({ model: byName(model) })).aliases[0]?.number
}
