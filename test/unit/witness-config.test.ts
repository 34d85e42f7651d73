import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { ConfigError } from '../../services/lib/process/env.ts'
import { formatVerifierKey } from '../../services/lib/tlog/note.ts'
import { readWitnessSettings } from '../../services/witness/config.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const vkeys = ['log.example/a', 'log.example/b'].map((name) => formatVerifierKey(name, privateKey))
const second = formatVerifierKey('log.example/a', generateKeyPairSync('ed25519').privateKey)
const ENVIRONMENT = {
  WITNESS_NAME: 'witness.example/w',
  WITNESS_KEY: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  WITNESS_LOGS: `${vkeys.join('\n')} ${second}`,
  WITNESS_DIRECTORY: '/var/lib/witness',
}

test('reads its settings, with all keys of each log', () => {
  const { logs, ...settings } = readWitnessSettings(ENVIRONMENT)
  expect(settings).toMatchObject({ port: 7704, name: 'witness.example/w', directory: '/var/lib/witness' })
  expect([...logs].map(([name, keys]) => [name, keys.length])).toEqual([
    ['log.example/a', 2],
    ['log.example/b', 1],
  ])
})

test('reports all missing and invalid settings at once', () => {
  const problems = (environment: Record<string, string>) => {
    try {
      return readWitnessSettings(environment)
    } catch (error) {
      return (error as ConfigError).problems
    }
  }
  expect(problems({})).toEqual(
    ['WITNESS_NAME', 'WITNESS_KEY', 'WITNESS_LOGS', 'WITNESS_DIRECTORY'].map((name) => `${name} is missing`),
  )
  const wrong = { WITNESS_NAME: 'a b', WITNESS_KEY: 'x', WITNESS_LOGS: 'log.example', WITNESS_DIRECTORY: 'here' }
  expect(problems(wrong)).toHaveLength(4)
})
