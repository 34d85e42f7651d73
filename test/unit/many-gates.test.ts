import { create } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import { GateRulesSchema } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { shortestExpiry } from '../../services/metadata/domain/governance/gate-rules.ts'

const rulesOf = (seconds: bigint) => create(GateRulesSchema, { expiry: { seconds } })

test('the shortest expiry of the gates counts, however many there are', () => {
  const many = Array.from({ length: 200_000 }, (_, index) => rulesOf(BigInt(3_600 + (index % 7))))
  expect(shortestExpiry(many)).toBe(3_600)
  expect(shortestExpiry([rulesOf(60n), rulesOf(120n)])).toBe(60)
})

test('without gates, the default expiry counts', () => {
  expect(shortestExpiry([])).toBe(7 * 24 * 3_600)
})
