// The replay accepts every log of an honest registry, and detects the removal of any event that a gate needed.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LeafEvent } from '../../clients/verifier/export/event.ts'
import { replayGovernance } from '../../clients/verifier/replay/replay.ts'
import { HonestRegistry, type Step } from '../support/honest-registry.ts'

const number = fc.nat({ max: 63 })
const often: Step['kind'][] = [...Array<'request'>(5).fill('request'), ...Array<'approve'>(15).fill('approve')]
const kind = fc.constantFrom<Step['kind']>(...often, 'version', 'gate', 'change', 'delete', 'reject', 'move', 'force')
const steps = fc.array(fc.record({ kind, who: number, what: number, which: number }), { minLength: 20, maxLength: 120 })

function brokenBy(events: LeafEvent[]): readonly string[] {
  const governance = replayGovernance()
  for (const [index, storyEvent] of events.entries()) governance.apply(index, storyEvent)
  return governance.broken
}

function live(all: Step[]): HonestRegistry {
  const registry = new HonestRegistry()
  registry.take({ kind: 'version', who: 0, what: 0, which: 0 })
  registry.take({ kind: 'version', who: 1, what: 0, which: 0 })
  registry.take({ kind: 'gate', who: 0, what: 0, which: 2 })
  for (const step of all) registry.take(step)
  return registry
}

test('accepts the events of an honest registry', () => {
  let moves = 0
  const property = fc.property(steps, (all) => {
    const { events, needed } = live(all)
    moves += needed.length
    expect(brokenBy(events)).toEqual([])
  })
  fc.assert(property, { numRuns: 1000 })
  expect(moves).toBeGreaterThan(300)
})

test('detects the removal of an approval that a move needed', () => {
  let tried = 0
  const property = fc.property(steps, (all) => {
    const { events, needed } = live(all)
    for (const at of needed) {
      tried += 1
      expect(brokenBy(events.toSpliced(at, 1))).not.toEqual([])
    }
  })
  fc.assert(property, { numRuns: 100 })
  expect(tried).toBeGreaterThan(100)
})

test.each(['promotion.requested.v1', 'promotion.applied.v1', 'gate.created.v1'])(
  'detects the removal of a %s',
  (type) => {
    let tried = 0
    const property = fc.property(steps, (all) => {
      const { events } = live(all)
      for (const [at, event] of events.entries()) {
        // The removal of an unused gate or request is detected only by the sequence of its producer.
        const isUsed = events.slice(at + 1).some((later) => later.resource?.id === event.resource?.id)
        if (event.type !== type || !(isUsed || type === 'promotion.applied.v1')) continue
        tried += 1
        expect(brokenBy(events.toSpliced(at, 1))).not.toEqual([])
      }
    })
    fc.assert(property, { numRuns: 50 })
    expect(tried).toBeGreaterThan(50)
  },
)
