import { create, toJson } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import { EventSchema, Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { canonicalJson, encodeLeaf, isLeafOf } from '../../services/audit/domain/leaf.ts'
import { hashLeaf } from '../../services/lib/tlog/merkle.ts'

const event = create(EventSchema, {
  id: '0191d3a0-5f6e-7000-8000-0000000000ff',
  producer: 'metadata',
  sequence: 9007199254740993n,
  type: 'alias.moved.v1',
  occurTime: { seconds: 1_795_000_000n, nanos: 595_123_000 },
  actor: { principal: 'alice', method: 'token', credentialId: '0191d3a0-5f6e-7000-8000-000000000001' },
  resource: { type: 'alias', id: 'a', namespace: 'fraud', name: 'fraud/scorer@production' },
  reason: 'é "quoted" \u2028 €\n',
  outcome: Outcome.SUCCEEDED,
  requestId: 'r-1',
  details: { b: 1e21, a: [0.93, null, true, { z: 1, A: '\u0001' }] },
})

const GOLDEN =
  '{"event":{"actor":{"credentialId":"0191d3a0-5f6e-7000-8000-000000000001","method":"token","principal":"alice"},' +
  '"details":{"a":[0.93,null,true,{"A":"\\u0001","z":1}],"b":1e+21},"id":"0191d3a0-5f6e-7000-8000-0000000000ff",' +
  '"occurTime":"2026-11-18T11:06:40.595123Z","outcome":"OUTCOME_SUCCEEDED","producer":"metadata",' +
  '"reason":"é \\"quoted\\" \u2028 €\\n","requestId":"r-1",' +
  '"resource":{"id":"a","name":"fraud/scorer@production","namespace":"fraud","type":"alias"},' +
  '"sequence":"9007199254740993","type":"alias.moved.v1"},"recordTime":"2026-11-18T11:06:41.000001Z"}'

test('the leaf of an event never changes its bytes', () => {
  const leaf = encodeLeaf(canonicalJson(toJson(EventSchema, event)), '2026-11-18T11:06:41.000001Z')
  expect(leaf).toBe(GOLDEN)
  expect(canonicalJson(JSON.parse(leaf))).toBe(leaf)
  expect(hashLeaf(leaf).toString('hex')).toBe('07d815418a5f0dc7d73bf83abaf69578f01c600341447407147f225d77a10461')
})

test('distinguishes the leaf of an event from that of a different event', () => {
  const canonical = canonicalJson(toJson(EventSchema, event))
  const leaf = Buffer.from(encodeLeaf(canonical, '2026-11-18T11:06:41.000001Z'))
  expect(isLeafOf(leaf, canonical)).toBe(true)
  expect(isLeafOf(leaf, canonical.replace('alice', 'malice'))).toBe(false)
  expect(isLeafOf(leaf, canonical.slice(0, -1))).toBe(false)
})
