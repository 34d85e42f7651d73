import * as fc from 'fast-check'
import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  findCheckpoint,
  findVerifier,
  formatCheckpoint,
  formatVerifierKey,
  openNote,
  signNote,
  type Verifier,
} from '../../services/lib/tlog/note.ts'

// This is the example of c2sp.org/signed-note.
const VKEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
const TEXT = 'This is an example message.\n'
const NOTE = `${TEXT}
— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`

test('opens the published note with the published key', () => {
  expect(openNote(NOTE, findVerifier(VKEY)!)).toBe(TEXT)
  expect(formatVerifierKey('example.com/foo', findVerifier(VKEY)!.key)).toBe(VKEY)
})

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const own = (name: string): Verifier => findVerifier(formatVerifierKey(name, publicKey))!

test('opens a note that others signed too with each key that signed it, and with no other key', () => {
  const note = signNote(TEXT, 'log.example', privateKey)
  expect(openNote(note, own('log.example'))).toBe(TEXT)
  expect(openNote(note, own('log.example/other'))).toBeUndefined()
  expect(openNote(note, findVerifier(VKEY)!)).toBeUndefined()
  const cosigned = note + NOTE.split('\n\n')[1]!
  expect(openNote(cosigned, own('log.example'))).toBe(TEXT)
  expect(openNote(cosigned, findVerifier(VKEY)!)).toBe(TEXT)
})

test.each([
  ['without a newline at the end', NOTE.slice(0, -1)],
  ['without a signature', `${TEXT}\n`],
  ['without a blank line', NOTE.replace('\n\n', '\n')],
  ['with a carriage return', NOTE.replaceAll('\n', '\r\n')],
  ['with a hyphen for the dash', NOTE.replace('—', '-')],
  ['with a blank line after the signatures', `${NOTE}\n`],
  ['with base64 in another form', NOTE.replace('QM=\n', 'QN=\n')],
  ['with a second, wrong signature of the key', `${NOTE}— example.com/foo Uw2QOkn8\n`],
  ['without any text', ''],
])('rejects a note %s', (_name, note) => {
  expect(openNote(note, findVerifier(VKEY)!)).toBeUndefined()
})

test('rejects a note with any changed byte', () => {
  const bytes = Buffer.from(NOTE)
  const property = fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const changed = Buffer.from(bytes)
    changed[at]! ^= change
    expect(openNote(changed.toString(), findVerifier(VKEY)!)).toBeUndefined()
  })
  fc.assert(property, { numRuns: 500 })
})

test.each([
  VKEY.replace('530d903a', '530d903b'),
  VKEY.replace('example', 'elpmaxe'),
  VKEY.replace('+A', '+B'),
  VKEY.slice(0, -1),
  `${VKEY}A`,
  'example.com/foo',
  '',
])('rejects the key %s', (text) => {
  expect(findVerifier(text)).toBeUndefined()
})

test('parses a checkpoint as it was formatted', () => {
  const checkpoint = { origin: 'log.example', size: 7n, root: Buffer.alloc(32, 7) }
  const text = formatCheckpoint(checkpoint)
  expect(text).toBe('log.example\n7\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n')
  expect(findCheckpoint(text)).toEqual(checkpoint)
  expect(findCheckpoint(`${text}an extension\n`)).toEqual(checkpoint)
  for (const wrong of [text.slice(0, -1), text.replace('\n7', '\n07'), text.replace('c=', 'd='), text.slice(11), '']) {
    expect(findCheckpoint(wrong)).toBeUndefined()
  }
})
