// The roles that the replay requires: each type of event with the least sufficient role, and without it.
import { expect, test } from 'vitest'
import { findReplayEvent, replayGovernance } from '../../clients/verifier/replay/replay.ts'
import { EVENT_TYPES } from '../../services/lib/events/event-types.ts'
import { by, event, type StoryEvent } from '../support/governed.ts'
import {
  ACTIONS,
  ALLOWED,
  DENIED_FOR_SERVICE,
  ALLOWED_FOR_SERVICE,
  DENIED,
  UNGOVERNED,
} from '../support/required-roles.ts'

function brokenBy(events: StoryEvent[]): readonly string[] {
  const governance = replayGovernance()
  for (const [index, storyEvent] of events.entries()) governance.apply(index, storyEvent)
  return governance.broken
}

const ofMetadata = Object.entries(EVENT_TYPES).flatMap(([type, { producer }]) => (producer === 'metadata' ? type : []))

test('covers each type of event that the metadata service emits', () => {
  expect([...Object.keys(ACTIONS), ...UNGOVERNED].toSorted()).toEqual(ofMetadata.toSorted())
  for (const [type, actions] of Object.entries(ACTIONS)) {
    expect(new Set(actions.map(({ done }) => done.type))).toEqual(new Set([type]))
  }
})

test.each(ofMetadata)('the replay covers a %s, unless it changes nothing', (type) => {
  const storyEvent = event(type.replace(/\.v1$/, ''), { actor: by('dana') })
  expect(findReplayEvent(0, storyEvent) !== undefined).toBe(!UNGOVERNED.some((other) => other === type))
})

test.each([...ALLOWED, ...ALLOWED_FOR_SERVICE])('accepts $text', ({ events }) => {
  expect(brokenBy(events)).toEqual([])
})

test.each(DENIED)('rejects $text', ({ type, events }) => {
  const place = `entry ${events.length - 1}, ${type} of `
  const reason = type === 'promotion.expired.v1' ? 'only the service expires promotions' : 'dana lacked the role'
  const broken = brokenBy(events)
  expect(broken).toHaveLength(1)
  expect(broken[0]!.startsWith(place)).toBe(true)
  expect(broken[0]).toContain(reason)
})

test.each(DENIED_FOR_SERVICE)('rejects $text', ({ events }) => {
  expect(brokenBy(events)).not.toEqual([])
})
