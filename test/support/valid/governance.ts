// A valid request of each RPC about gates and promotions, with every field filled in.
import { randomUUID } from 'node:crypto'
import { GateService } from '../../../gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { PromotionState } from '../../../gen/modelkeep/metadata/v1/promotion_pb.ts'
import { PromotionService } from '../../../gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { NamespaceService } from '../../../gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { makeModel, makeVersion, named, newName, SCORER, scorerBy, valid, type Valid, type World } from './world.ts'

const gates = GateService.method
const promotions = PromotionService.method

const AUTHOR = 'mk_contributor'
const why = () => ({ reason: 'because', requestId: randomUUID() })
const RULES = {
  aliasPattern: 'released-*',
  conditions: [{ expression: 'version.number > 0', sentence: 'it has a number' }],
  approvalsRequired: 1,
  approvers: ['approver'],
  expiry: { seconds: 3600n },
}

/** Creates a gate in a new namespace, because a namespace has at most 100 gates. */
async function makeRoom(world: World) {
  if (world.rooms === 'default') return { namespace: 'default', model: (await makeModel(world)).name }
  const { namespace } = await world.admin(NamespaceService).createNamespace({ name: newName() })
  return { namespace: namespace!.name, model: (await makeModel(world, namespace!.name)).name }
}

async function makeGate(world: World) {
  const { namespace } = await makeRoom(world)
  return (await world.admin(GateService).createGate({ namespace, name: newName(), rules: RULES })).gate!
}

/** Version 1 of a model whose alias `guarded` needs an approval by neither its creator nor the requester. */
async function makeGuarded(world: World) {
  const { model } = await makeVersion(world, AUTHOR)
  await world
    .admin(GateService)
    .createGate({ name: 'guarded', rules: { aliasPattern: 'guarded', approvalsRequired: 1 } })
    .catch(() => undefined)
  return { ref: { case: 'name' as const, value: { namespace: 'default', model, number: 1 } } }
}

async function makePromotion(world: World): Promise<string> {
  const request = { version: await makeGuarded(world), alias: 'guarded', reason: 'better' }
  return (await world.all.client(PromotionService, AUTHOR).requestPromotion(request)).promotion!.id
}

const decision = async (world: World) => ({ id: await makePromotion(world), ...why() })

/** An omitted namespace means `default`, but the resource is in another namespace. */
const elsewhere = (request: Valid, field: string, verdict: string): Valid => ({
  ...request,
  verdicts: { [`${field} nothing`]: verdict },
})

export const VALID_GOVERNANCE: Valid[] = [
  elsewhere(
    valid(gates.createGate, async (world) => {
      const { namespace, model } = await makeRoom(world)
      return { namespace, name: newName(), model: named(model, namespace), rules: RULES, ...why() }
    }),
    'model.name.namespace',
    'MODEL_NOT_FOUND',
  ),
  elsewhere(
    valid(gates.updateGate, async (world) => {
      const { namespace, name, etag } = await makeGate(world)
      return { namespace, name, rules: { ...RULES, approvalsRequired: 1 }, etag, ...why() }
    }),
    'namespace',
    'GATE_NOT_FOUND',
  ),
  elsewhere(
    valid(gates.deleteGate, async (world) => {
      const { namespace, name, etag } = await makeGate(world)
      return { namespace, name, etag, ...why() }
    }),
    'namespace',
    'GATE_NOT_FOUND',
  ),
  elsewhere(
    valid(gates.getGate, async (world) => {
      const { namespace, name } = await makeGate(world)
      return { namespace, name }
    }),
    'namespace',
    'GATE_NOT_FOUND',
  ),
  valid(gates.listGates, () => ({ namespace: 'default', pageSize: 10 })),
  valid(gates.listGateRevisions, async (world) => ({ gateId: (await makeGate(world)).id, pageSize: 10 })),
  valid(gates.testGate, () => ({
    version: scorerBy({
      case: 'number',
      value: 1,
    }),
    alias: 'production',
    rules: RULES,
  })),

  valid(promotions.requestPromotion, async (world) => ({
    version: await makeGuarded(world),
    alias: 'guarded',
    expectedNumber: 0,
    ...why(),
  })),
  valid(promotions.approvePromotion, decision, 'mk_approver'),
  valid(promotions.rejectPromotion, decision, 'mk_approver'),
  valid(promotions.withdrawPromotion, decision),
  valid(promotions.getPromotion, async (world) => ({ id: await makePromotion(world) })),
  valid(promotions.listPromotions, () => ({
    model: SCORER,
    state: PromotionState.PENDING_APPROVAL,
    pageSize: 10,
  })),
]
