import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { cosign } from '../../services/lib/tlog/cosignature.ts'
import { formatVerifierKey, KEY_TYPE, signNote } from '../../services/lib/tlog/note.ts'
import { checkPolicy, parsePolicy } from '../../services/lib/tlog/policy.ts'

const NAMES = ['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'] as const
const keys = new Map(NAMES.map((name) => [name, generateKeyPairSync('ed25519').privateKey]))
const log = generateKeyPairSync('ed25519').privateKey
const vkeyOf = (name: (typeof NAMES)[number]) =>
  formatVerifierKey(`witness.example/${name}`, keys.get(name)!, KEY_TYPE.cosignature)

// This is the example of c2sp.org/tlog-policy.
const POLICY = `# logs
log ${formatVerifierKey('log.example', log)}

 witness X1\t${vkeyOf('X1')}  https://x1.example/witness/
${NAMES.slice(1)
  .map((name) => `witness ${name} ${vkeyOf(name)}`)
  .join('\n')}
group X-witnesses 2 X1 X2 X3
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`

test('reads the published example', () => {
  const { logs, witnesses } = parsePolicy(POLICY)
  expect(logs.map(({ name }) => name)).toEqual(['log.example'])
  expect(witnesses.map(({ name }) => name)).toEqual([...NAMES])
  expect(witnesses.map(({ url }) => url).slice(0, 2)).toEqual(['https://x1.example/witness', undefined])
})

test.each([
  [['X1', 'X2', 'Y1'], true],
  [['X2', 'X3', 'Y3'], true],
  [['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'], true],
  [['X1', 'Y1', 'Y2', 'Y3'], false],
  [['X1', 'X2', 'X3'], false],
  [[], false],
  [['X-and-Y'], false],
] as const)('%j is a quorum: %s', (cosigned, isQuorum) => {
  expect(parsePolicy(POLICY).isQuorum(new Set(cosigned))).toBe(isQuorum)
})

test('counts the cosignatures on a checkpoint, and none if one is forged', () => {
  const text = 'log.example\n7\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n'
  const line = (name: (typeof NAMES)[number], signed = text, by = name) =>
    cosign(signed, `witness.example/${name}`, keys.get(by)!, 5n)
  const note = signNote(text, 'log.example', log) + line('X1') + line('Y2')
  const policy = parsePolicy(POLICY)
  expect(checkPolicy(note, policy)).toMatchObject({ isQuorum: false, forged: [] })
  const full = checkPolicy(note + line('X3'), policy)
  expect([full.isQuorum, [...full.times]]).toEqual([
    true,
    [
      ['X1', 5n],
      ['X3', 5n],
      ['Y2', 5n],
    ],
  ])
  expect(checkPolicy(note + line('X1') + line('X1'), policy).isQuorum).toBe(false)
  expect(checkPolicy(note + line('X3', 'an older checkpoint\n'), policy)).toMatchObject({
    isQuorum: false,
    forged: ['X3'],
  })
  expect(checkPolicy(`${note}${line('X3')}${line('X2', 'else\n')}`, policy)).toMatchObject({ isQuorum: false })
})

test('a quorum of none is always reached', () => {
  expect(parsePolicy('quorum none').isQuorum(new Set())).toBe(true)
})

const witness = `witness W ${vkeyOf('X1')}\n`
test.each([
  ['nothing', '', /no line "quorum/],
  ['two quorums', 'quorum none\nquorum none', /^line 2: the quorum is already set/],
  ['an unknown quorum', 'quorum W', /^line 1/],
  ['a group of what comes later', `group G any W\n${witness}quorum G`, /^line 1: member "W" is not a witness/],
  ['too high a threshold', `${witness}group G 2 W\nquorum G`, /^line 2: threshold "2" must be/],
  ['a threshold of 0', `${witness}group G 0 W\nquorum G`, /^line 2: threshold "0" must be/],
  ['a group without members', `${witness}group G all\nquorum G`, /^line 2/],
  ['a group that is its own member', `${witness}group G any G\nquorum G`, /^line 2/],
  ['a member twice', `${witness}group G 2 W W\nquorum G`, /^line 2: member "W" is already in a group/],
  [
    'a member of two groups',
    `${witness}group G any W\ngroup H any W\nquorum H`,
    /^line 3: member "W" is already in a group/,
  ],
  ['a name twice', `${witness}witness W ${vkeyOf('X2')}\nquorum W`, /^line 2: name "W" is already used/],
  ['none as a name', `witness none ${vkeyOf('X2')}\nquorum none`, /already used/],
  ['a key twice', `${witness}witness V ${vkeyOf('X1')}\nquorum W`, /^line 2: the key is already used/],
  ["a log's key for a witness", `witness W ${formatVerifierKey('w', log)}\nquorum W`, /^line 1/],
  ["a witness's key for a log", `log ${vkeyOf('X1')}\nquorum none`, /^line 1/],
  ['another scheme', `witness W ${vkeyOf('X1')} ftp://w\nquorum W`, /^line 1/],
  ['a carriage return', `quorum none\r\n`, /^line 1: the line has a control character/],
  ['an unknown word', `trust everybody\nquorum none`, /^line 1: unknown keyword "trust"/],
])('rejects a policy with %s', (_name, text, message) => {
  expect(() => parsePolicy(text)).toThrow(message)
})
