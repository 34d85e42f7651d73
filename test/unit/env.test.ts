import { expect, test } from 'vitest'
import { ConfigError, EnvReader } from '../../services/lib/process/env.ts'

function problemsOf(environment: Record<string, string>, read: (env: EnvReader) => unknown): string[] {
  const env = new EnvReader(environment)
  read(env)
  try {
    env.check()
    return []
  } catch (error) {
    return (error as ConfigError).problems
  }
}

test('returns a text or its fallback; without a fallback it is required, and empty counts as missing', () => {
  const env = new EnvReader({ GIVEN: 'x', EMPTY: '' })
  expect([env.string('GIVEN'), env.string('EMPTY', 'y'), env.string('ABSENT', '')]).toEqual(['x', 'y', ''])
  expect(() => env.check()).not.toThrow()
  expect(problemsOf({ EMPTY: '' }, (reader) => reader.string('EMPTY'))).toEqual(['EMPTY is missing'])
})

test('reads a secret from the file that NAME_FILE names, without its last line break', () => {
  const read = (path: string) => ({ '/run/secret': 's3cret\n', '/run/empty': '\n' })[path] ?? failToRead()
  expect(new EnvReader({ KEY_FILE: '/run/secret', KEY: 'other' }).secret('KEY', read)).toBe('s3cret')
  expect(new EnvReader({ KEY: 'plain' }).secret('KEY', read)).toBe('plain')
  expect(problemsOf({ KEY_FILE: '/gone' }, (env) => env.secret('KEY', read))[0]).toMatch(/KEY_FILE .*cannot be read/)
  expect(problemsOf({ KEY_FILE: '/run/empty' }, (env) => env.secret('KEY', read))).toEqual(['KEY_FILE is empty'])
  expect(problemsOf({}, (env) => env.secret('KEY', read))).toEqual(['KEY is missing'])
})

function failToRead(): never {
  throw new Error('no such file')
}

test.each(['0', '11', '1.5', 'x', '1e1', '0x5', ' ', '5 '])('rejects %j as a whole number from 1 to 10', (text) => {
  expect(problemsOf({ N: text }, (env) => env.integer('N', 5, { min: 1, max: 10 }))).toEqual([
    'N must be a whole number from 1 to 10',
  ])
})

test('returns integers, booleans and choices, or their defaults', () => {
  const env = new EnvReader({ N: '10', ON: 'true', LEVEL: 'warn' })
  expect(env.integer('N', 5, { min: 1, max: 10 })).toBe(10)
  expect(env.integer('M', 5, { min: 1, max: 10 })).toBe(5)
  expect([env.boolean('ON', false), env.boolean('OFF', false)]).toEqual([true, false])
  expect([env.oneOf('LEVEL', ['info', 'warn'], 'info'), env.oneOf('ELSE', ['info', 'warn'], 'info')]).toEqual([
    'warn',
    'info',
  ])
  expect(() => env.check()).not.toThrow()
  expect(problemsOf({ ON: 'yes' }, (reader) => reader.boolean('ON', false))).toEqual(['ON must be true or false'])
  expect(problemsOf({ LEVEL: 'loud' }, (reader) => reader.oneOf('LEVEL', ['info', 'warn'], 'info'))).toEqual([
    'LEVEL must be one of info, warn',
  ])
})

test.each(['localhost:80', 'ftp://a', 'http//a', 'javascript:alert(1)'])('rejects %j as the URL of a peer', (text) => {
  expect(problemsOf({ U: text }, (env) => env.url('U', ['http', 'https']))).toEqual([
    'U must be a URL that begins with http:// or https://',
  ])
})

test('reports all problems at once', () => {
  const problems = problemsOf({ N: 'x', ON: 'x' }, (env) => {
    env.string('A')
    env.integer('N', 1, { min: 1, max: 2 })
    env.boolean('ON', true)
    env.url('U', ['http'])
    env.problem('and one more')
  })
  expect(problems).toHaveLength(5)
  expect(new ConfigError(problems).message).toContain(problems.map((problem) => `  - ${problem}`).join('\n'))
})
