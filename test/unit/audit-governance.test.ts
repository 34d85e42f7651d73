// The verifier rejects a validly signed log whose events break the rules of the registry.
import { expect, test } from 'vitest'
import { formatRedacted } from '../../clients/verifier/export/export-file.ts'
import { verifyExport } from '../../clients/verifier/verify-export.ts'
import { findVerifier } from '../../services/lib/tlog/note.ts'
import { BROKEN_GATE_STORIES } from '../support/broken-gates.ts'
import { BROKEN_PROMOTION_STORIES } from '../support/broken-promotions.ts'
import { RULE_VIOLATIONS } from '../support/broken-rules.ts'
import { BROKEN_STATE_STORIES } from '../support/broken-states.ts'
import { BROKEN_VOTE_STORIES } from '../support/broken-votes.ts'
import { exportOf, makeLeaf, openingOf, VKEY } from '../support/exports.ts'
import { move, START, verdict } from '../support/governed.ts'
import { HONEST_STORIES } from '../support/honest-stories.ts'

test.each(HONEST_STORIES)('accepts %s', (_, events) => {
  expect(verdict(...events)).toBe('accepted')
})

test.each([
  ...RULE_VIOLATIONS,
  ...BROKEN_GATE_STORIES,
  ...BROKEN_PROMOTION_STORIES,
  ...BROKEN_STATE_STORIES,
  ...BROKEN_VOTE_STORIES,
])('reports: %s', (text, events) => {
  const message = verdict(...events)
  expect(message).toContain(text)
  const [, index, type] = /entry (\d+), ([a-z.]+v1) of /.exec(message)!
  expect([...START, ...events][Number(index)]!.type).toBe(type)
})

test('names the entry of a broken rule, and lists ten rules at most', () => {
  expect(verdict(move(2, 1))).toBe(
    'its signatures are valid, but a rule was broken:\n' +
      '  entry 8, alias.moved.v1 of fraud/scorer@live: moved from 2, but the alias pointed at 1',
  )
  expect(verdict(...Array.from({ length: 15 }, () => move(7, 1)))).toMatch(
    /broken 15 times:(\n {2}entry .*){10}\n {2}and 5 more$/,
  )
})

test('reports an entry whose details were erased, and verifies the others', async () => {
  const key = findVerifier(VKEY)!
  const { commitment } = openingOf('details.to', '2')
  const story = [
    ...START,
    { ...move(1, 2, { details: { from: 1, model_id: 'm' } }), commitments: { 'details.to': commitment } },
  ]
  const leaves = [
    ...story.map((event, at) => makeLeaf(at + 1, event)),
    makeLeaf(1, {
      producer: 'audit',
      type: 'event.redacted.v1',
      details: { index: String(START.length), fields: ['details.to'] },
    }),
  ]
  const erased = formatRedacted(START.length, 'details.to', leaves.length - 1).toString()
  async function* bytes() {
    yield exportOf(leaves, { after: { [START.length]: [erased] } })
  }
  const verified = verifyExport(bytes(), { name: key.name, keys: [key], policy: undefined })
  await expect(verified).rejects.toThrow(
    'a rule was broken:\n  entry 8, alias.moved.v1 of fraud/scorer@live: cannot be verified, because details.to was erased',
  )
})
