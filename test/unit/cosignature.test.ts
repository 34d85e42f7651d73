import * as fc from 'fast-check'
import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { cosign, findCosignature } from '../../services/lib/tlog/cosignature.ts'
import {
  findSignature,
  findVerifier,
  formatVerifierKey,
  KEY_TYPE,
  openNoteWithAny,
  signNote,
} from '../../services/lib/tlog/note.ts'

const { privateKey: key } = generateKeyPairSync('ed25519')
const TEXT = 'log.example\n7\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n'
const NOTE = signNote(TEXT, 'log.example', key)
const witness = generateKeyPairSync('ed25519').privateKey
const named = (name: string) =>
  findVerifier(formatVerifierKey(name, witness, KEY_TYPE.cosignature), KEY_TYPE.cosignature)!
const cosigner = named('witness.example/w')

test('distinguishes keys of witnesses from keys of logs', () => {
  // These are published keys of a log and of a witness.
  const [log, remora] = [
    'TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6',
    'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2',
  ]
  expect(findVerifier(remora, KEY_TYPE.cosignature)?.name).toBe('remora.n621.de')
  expect(findVerifier(log)?.name).toBe('TEST')
  expect(findVerifier(remora)).toBeUndefined()
  expect(findVerifier(log, KEY_TYPE.cosignature)).toBeUndefined()
  expect(
    formatVerifierKey('remora.n621.de', findVerifier(remora, KEY_TYPE.cosignature)!.key, KEY_TYPE.cosignature),
  ).toBe(remora)
})

test('encodes the time of a cosignature where other implementations read it', () => {
  const line = cosign(TEXT, cosigner.name, witness, 1_727_964_367n)
  // The published example ZGhGuQAAAABm/qTP… has it after the four bytes of the key hash.
  expect(findSignature(line.trimEnd())!.signature.subarray(0, 8).toString('hex')).toBe('0000000066fea4cf')
  expect(findCosignature(NOTE + line, cosigner)).toBe(1_727_964_367n)
})

test('accepts a cosignature only for its own checkpoint, name, key and type', () => {
  const line = cosign(TEXT, cosigner.name, witness, 9n)
  expect(findCosignature(NOTE, cosigner)).toBeUndefined()
  expect(findCosignature(NOTE + line, named('witness.example/other'))).toBeUndefined()
  const other = signNote(TEXT.replace('7', '8'), 'log.example', key)
  expect(findCosignature(other + line, cosigner)).toBe('forged')
  expect(findCosignature(NOTE + cosign(TEXT, cosigner.name, witness, 9n) + line, cosigner)).toBe(9n)
  expect(findCosignature(NOTE + cosign(TEXT, cosigner.name, witness, 11n) + line, cosigner)).toBe(11n)
  expect(findCosignature(NOTE + cosign(TEXT, cosigner.name, witness, 0n), cosigner)).toBe('forged')
  // A signature with the same key as a log's key differs.
  expect(findCosignature(NOTE + signNote(TEXT, cosigner.name, witness).split('\n\n')[1], cosigner)).toBeUndefined()
})

test('rejects a cosigned checkpoint with any changed byte', () => {
  const bytes = Buffer.from(NOTE.split('\n\n')[0] + '\n\n' + cosign(TEXT, cosigner.name, witness, 1_727_964_367n))
  const property = fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const changed = Buffer.from(bytes)
    changed[at]! ^= change
    expect(typeof findCosignature(changed.toString(), cosigner)).not.toBe('bigint')
  })
  fc.assert(property, { numRuns: 500 })
})

test('opens a note with any of several keys, and rejects it if one of their signatures is wrong', () => {
  const fresh = generateKeyPairSync('ed25519').privateKey
  const keys = [key, fresh].map((half) => findVerifier(formatVerifierKey('log.example', half))!)
  const lineOf = (text: string, half = fresh) => signNote(text, 'log.example', half).split('\n\n')[1]!
  expect(openNoteWithAny(NOTE, keys)).toEqual({ text: TEXT, signer: keys[0] })
  expect(openNoteWithAny(NOTE, [keys[1]!])).toBeUndefined()
  expect(openNoteWithAny(NOTE + lineOf(TEXT), [keys[1]!])).toEqual({ text: TEXT, signer: keys[1] })
  expect(openNoteWithAny(NOTE + lineOf(TEXT), keys)?.text).toBe(TEXT)
  expect(openNoteWithAny(NOTE + lineOf('else\n'), keys)).toBeUndefined()
  expect(openNoteWithAny(NOTE + lineOf('else\n'), [keys[0]!])?.text).toBe(TEXT)
  expect(openNoteWithAny(NOTE, [])).toBeUndefined()
})
