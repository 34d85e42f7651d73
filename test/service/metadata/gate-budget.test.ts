// Gates whose conditions cost much: the gate denies with the reason, and nobody else waits.
import { expect, test } from 'vitest'
import { ConditionOutcome } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { byName, numbered, startMetadata } from '../../support/metadata.ts'
import { createNamespacesFor, production } from '../../support/promotion-namespace.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const startNamespace = createNamespacesFor(metadata)

/** RE2 takes seconds for it, without a budget. */
const COSTLY = `[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].exists(n, "${'ab'.repeat(750)}".matches("(a|b)*a(a|b){900}[cd]$"))`
const TOO_LONG = 'evaluation of the conditions exceeded 250 ms of CPU time'
const conditions = [
  { expression: 'version.number > 0', sentence: 'it has a number' },
  { expression: COSTLY, sentence: 'it never ends' },
  { expression: 'true', sentence: 'it comes too late' },
]

test('reports the conditions that exceed the budget of TestGate', async () => {
  const { bob, model, namespace } = await startNamespace()
  const { decisions, passed } = await bob.gates.testGate({
    version: { ref: { case: 'name', value: { namespace, model, selector: { case: 'number', value: 1 } } } },
    alias: 'production',
    rules: production({ conditions }),
  })
  expect(passed).toBe(false)
  expect(decisions[0]!.conditions).toMatchObject([
    { outcome: ConditionOutcome.TRUE, error: '' },
    { outcome: ConditionOutcome.ERROR, error: TOO_LONG },
    { outcome: ConditionOutcome.ERROR, error: TOO_LONG },
  ])
})

test('denies a promotion whose conditions cost too much, and holds no lock while it evaluates them', async () => {
  const room = await startNamespace(production({ conditions }))
  const { bob, alice, model, namespace } = room
  const order: string[] = []
  const denied = refusalOf(room.request(bob, 1)).finally(() => order.push('denied'))
  // Takes the lock of the model many times meanwhile.
  for (let turn = 0; turn < 5; turn += 1) {
    const target = { name: 'staging', target: { case: 'number' as const, value: (turn % 2) + 1 } }
    const expectedNumber = turn === 0 ? 0 : ((turn + 1) % 2) + 1
    await alice.aliases.setAliases({ model: byName(model, namespace), targets: [{ ...target, expectedNumber }] })
  }
  order.push('moved')
  expect(await denied).toMatchObject({ reason: 'GATE_UNMET', metadata: { unmet: '2' } })
  expect(order).toEqual(['moved', 'denied'])
  expect(await room.pointsAt()).toBe(0)
})

test('evaluates again what has changed while the conditions were evaluated', async () => {
  const room = await startNamespace(
    production({ conditions: [{ expression: 'version.labels["stage"] == "final"', sentence: 'it is final' }] }),
  )
  const label = (stage: string) =>
    room.alice.versions.updateVersion({
      version: numbered(room.model, 1, room.namespace),
      labels: { stage },
      updateMask: { paths: ['labels'] },
    })
  await label('final')
  const [denied] = await Promise.all([refusalOf(room.request(room.bob, 1)).catch(() => undefined), label('draft')])
  // Whichever came first, the alias points at a version whose labels met the gate at that moment.
  expect(await room.pointsAt()).toBe(denied?.reason === 'GATE_UNMET' ? 0 : 1)
})
