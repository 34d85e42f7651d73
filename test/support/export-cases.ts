// Exports for the mutation tests of the verifier: each reveals at least one missing check.
import { generateKeyPairSync } from 'node:crypto'
import { formatOpening, formatRedacted } from '../../clients/verifier/export/export-file.ts'
import { cosign } from '#lib/tlog/cosignature.ts'
import { formatVerifierKey, KEY_TYPE } from '#lib/tlog/note.ts'
import { exportOf, makeLeaf, noteOf, openingOf, ORIGIN, VKEY } from './exports.ts'

const witness = generateKeyPairSync('ed25519').privateKey
const stranger = generateKeyPairSync('ed25519').privateKey
const WITNESS = formatVerifierKey('witness.example/w', witness, KEY_TYPE.cosignature)
const POLICY = `log ${VKEY}\nwitness w ${WITNESS}\nquorum w\n`

const reason = openingOf('reason', '"a better recall"')
const plain = makeLeaf(1)
const secret = makeLeaf(2, { commitments: { reason: reason.commitment } })
const redaction = makeLeaf(1, {
  producer: 'audit',
  type: 'event.redacted.v1',
  details: { index: '1', fields: ['reason'] },
})
const shown = formatOpening(1, 'reason', reason.salt, reason.value).toString()
const erased = (by: number) => formatRedacted(1, 'reason', by).toString()
const LEAVES = [plain, secret, redaction, makeLeaf(3)]
/** An export with a proper erasure. */
const GOOD = exportOf(LEAVES, { after: { 1: [erased(2)] } })
const TWO = [plain, secret]
const classed = makeLeaf(1, {
  commitments: { reason: reason.commitment },
  resource: { id: 'r', namespace: 'legal' },
  retentionClass: 'RETENTION_CLASS_SECURITY',
})
const NEXT_DAY = '2026-11-19T11:06:41.000001Z'
const expiry = (seconds: string, retentionClass = 'SECURITY', producer = 'audit', sequence = 1) => {
  const details = { retentionClass: `RETENTION_CLASS_${retentionClass}`, seconds, values: { 0: ['reason'] } }
  return makeLeaf(sequence, { producer, type: 'values.expired.v1', details }, NEXT_DAY)
}
const hold = (details: object) =>
  makeLeaf(1, { producer: 'audit', type: 'hold.placed.v1', resource: { id: 'h' }, details })
const release = makeLeaf(2, { producer: 'audit', type: 'hold.released.v1', resource: { id: 'h' } })
const redacted = (sequence: number) =>
  makeLeaf(sequence, {
    producer: 'audit',
    type: 'event.redacted.v1',
    details: { index: '0', fields: ['reason'] },
  })
/** An export in which the last entry erases the value of the first. */
const gone = (...leaves: Buffer[]) =>
  exportOf([classed, ...leaves], { after: { 0: [formatRedacted(0, 'reason', leaves.length).toString()] } })
const lines = GOOD.toString().split('\n')
const edit = (change: (lines: string[]) => string[]) => Buffer.from(change([...lines]).join('\n'))
const move = makeLeaf(4, { type: 'alias.moved.v1', outcome: 'OUTCOME_SUCCEEDED' })
const target = openingOf('details.to', '2')
const moves = [1, 2].map((sequence) =>
  makeLeaf(sequence, {
    type: 'alias.moved.v1',
    outcome: 'OUTCOME_SUCCEEDED',
    ...(sequence === 1 && { commitments: { 'details.to': target.commitment } }),
  }),
)
const redactedEvent = makeLeaf(1, {
  producer: 'audit',
  type: 'event.redacted.v1',
  details: { index: '0', fields: ['details.to'] },
})
const cosigned = (key = witness) => {
  const note = noteOf(TWO)
  return `${note}${cosign(note.split('\n\n')[0]! + '\n', 'witness.example/w', key, 1_790_000_000n)}`
}
const withNote = (note: string) => exportOf(TWO, { after: { 1: [shown] }, note })

/** Exports with and without tampering: the name, the bytes and a policy. */
export const CASES: [string, Buffer, string?][] = [
  ['good', GOOD],
  ['a value that is there', exportOf(TWO, { after: { 1: [shown] } })],
  ['nothing', Buffer.alloc(0)],
  ['no header', edit(([, ...rest]) => rest)],
  ['another key', exportOf(LEAVES, { after: { 1: [erased(2)] }, key: stranger })],
  ['another log', exportOf(LEAVES, { after: { 1: [erased(2)] }, origin: 'log.example/other' })],
  [
    "another log under the key's name",
    exportOf(LEAVES, { after: { 1: [erased(2)] }, origin: 'log.example/other', name: ORIGIN }),
  ],
  ['no value', Buffer.from(GOOD.toString().replace(erased(2), '{"open":1,"field":"reason"}'))],
  ['no entry', edit((all) => all.with(1, '{"index":0}'))],
  ['entries moved', edit((all) => all.with(1, all[2]!).with(2, all[1]!))],
  ['one entry too many', exportOf(LEAVES, { after: { 1: [erased(2)] }, note: noteOf(LEAVES.slice(0, 3)) })],
  ['another hash', edit((all) => all.with(1, all[1]!.replace(/"hash":"..../, '"hash":"AAAA')))],
  ['the first format with commitments', Buffer.from(GOOD.toString().replace('/v2', '/v1'))],
  ['too few entries', edit((all) => [...all.slice(0, 5), ''])],
  [
    'changed with its hash',
    exportOf([makeLeaf(1, { type: 'other.v1' }), secret], { after: { 1: [shown] }, note: noteOf(TWO) }),
  ],
  ['no event', exportOf([Buffer.from('7')])],
  ['a missing event', exportOf([makeLeaf(2)])],
  ['a value left out', exportOf(TWO)],
  ['a value left out before another entry', exportOf([plain, secret, makeLeaf(3)])],
  ['erased before', exportOf(TWO, { after: { 1: [erased(1)] } })],
  ['a value too many', exportOf(TWO, { after: { 1: [shown, shown] } })],
  ['another value', exportOf(TWO, { after: { 1: [shown.replace('better', 'bitter')] } })],
  ['erased after the end', exportOf(TWO, { after: { 1: [erased(7)] } })],
  ['erased without a word', exportOf([plain, secret, makeLeaf(3)], { after: { 1: [erased(2)] } })],
  [
    'erased by an event that names no value',
    exportOf([plain, secret, makeLeaf(1, { producer: 'audit', type: 'event.redacted.v1' })], {
      after: { 1: [erased(2)] },
    }),
  ],
  ['shown although erased', exportOf(LEAVES, { after: { 1: [shown] } })],
  ['expired in time', gone(expiry('86400'))],
  ['expired too soon', gone(expiry('86401'))],
  ['expired in no time', gone(expiry('0'))],
  ['expired in another class', gone(expiry('60', 'OPERATIONAL'))],
  ['expired by the word of another', gone(expiry('60', 'SECURITY', 'artifact'))],
  ['erased in spite of a hold on its namespace', gone(hold({ namespace: 'legal', resource_id: '' }), redacted(2))],
  ['erased in spite of a hold on it', gone(hold({ namespace: '', resource_id: 'r' }), redacted(2))],
  [
    'expired in spite of a hold on everything',
    gone(hold({ namespace: '*', resource_id: '' }), expiry('60', 'SECURITY', 'audit', 2)),
  ],
  ['erased under a hold on others', gone(hold({ namespace: 'other', resource_id: '' }), redacted(2))],
  ['erased after a hold', gone(hold({ namespace: 'legal', resource_id: '' }), release, redacted(3))],
  ['recorded before', exportOf([makeLeaf(1, {}, NEXT_DAY), makeLeaf(2, { retentionClass: 'x' })])],
  [
    'recorded before, in another part',
    exportOf([makeLeaf(1, { large: 'x'.repeat(200_000) }, NEXT_DAY), makeLeaf(2, { retentionClass: 'x' })]),
  ],
  ['recorded before, of old', exportOf([makeLeaf(1, {}, NEXT_DAY), makeLeaf(2)])],
  ['half a line', GOOD.subarray(0, GOOD.length - 5)],
  ['an endless line', Buffer.alloc(4_000_001, 'x')],
  ['a broken rule before another entry', exportOf([plain, makeLeaf(2), makeLeaf(3), move, makeLeaf(5)])],
  ['a broken rule', exportOf([plain, makeLeaf(2), makeLeaf(3), move])],
  [
    'a move that cannot be judged, before another',
    exportOf([...moves, redactedEvent], { after: { 0: [formatRedacted(0, 'details.to', 2).toString()] } }),
  ],
  ['cosigned', withNote(cosigned()), POLICY],
  ['not cosigned', withNote(noteOf(TWO)), POLICY],
  ['cosigned by another', withNote(cosigned(stranger)), POLICY],
  ['a forged cosignature', withNote(cosigned().replace(/.{12}\n$/, 'AAAAAAAAAAAA\n')), POLICY],
]
