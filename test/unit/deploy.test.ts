import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { readArtifactSettings } from '../../services/artifact/config.ts'
import { readAuditSettings } from '../../services/audit/config.ts'
import { ConfigError, type Environment } from '../../services/lib/process/env.ts'
import { SERVICE_NAMES } from '../../services/lib/process/settings.ts'
import { findVerifier, formatVerifierKey, KEY_TYPE } from '../../services/lib/tlog/note.ts'
import { findSigningKey } from '../../services/lib/process/signing-key.ts'
import { readMetadataSettings } from '../../services/metadata/config.ts'
import { readWitnessSettings } from '../../services/witness/config.ts'

const READ = {
  metadata: readMetadataSettings,
  artifact: readArtifactSettings,
  audit: readAuditSettings,
  witness: readWitnessSettings,
} satisfies Record<string, (environment: Environment) => unknown>
const PROCESSES = [...SERVICE_NAMES, 'witness'] as const

interface Compose {
  services: Record<string, { environment?: Record<string, unknown>; command?: string[] }>
}

/** The output of `node deploy/make-env.mjs`. */
const SECRETS = Object.fromEntries(
  execFileSync(process.execPath, ['deploy/make-env.mjs'], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean)
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
) as Record<string, string>

test.each(PROCESSES)('the compose file sets only valid settings of %s', (name) => {
  const environment = composeEnvironment(name)
  expect(() => READ[name](environment)).not.toThrow()
  const asked = new Set<string>()
  const watched = new Proxy(environment, { get: (target, key: string) => (asked.add(key), target[key]) })
  READ[name](watched)
  const known = [...asked, 'METADATA_ADDRESS', 'ARTIFACT_ADDRESS', 'AUDIT_ADDRESS']
  expect(Object.keys(environment).filter((key) => !known.includes(key))).toEqual([])
})

test('the compose file has its witness cosign the log', () => {
  const { signer, cosigning } = readAuditSettings(composeEnvironment('audit'))
  const { name, key, logs } = readWitnessSettings(composeEnvironment('witness'))
  expect(logs.get(signer!.origin)).toMatchObject([findVerifier(signer!.vkey)!])
  const vkey = formatVerifierKey(name, key, KEY_TYPE.cosignature)
  const [witness] = cosigning!.policy.witnesses
  expect(witness).toMatchObject({ url: 'http://witness:7700', cosigner: findVerifier(vkey, KEY_TYPE.cosignature)! })
  expect(findSigningKey(SECRETS['WITNESS_KEY']!)!.equals(key)).toBe(true)
})

test.each(SERVICE_NAMES)('%s without settings reports all missing ones at once', (name) => {
  try {
    READ[name]({})
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    const { problems } = error as ConfigError
    for (const missing of ['DATABASE_URL', 'SERVICE_TOKEN', 'TRUSTED_SERVICES']) {
      expect(problems.join('\n')).toContain(missing)
    }
  }
})

test('the image installs every package that the services import, and no development packages', () => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> }
  const files = readdirSync('services', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const packages = new Set(files.flatMap((file) => importedPackages(readFileSync(join('services', file), 'utf8'))))
  const missing = [...packages].filter((name) => !(name in dependencies) && !builtinModules.includes(name))
  expect(missing).toEqual([])
})

test('the image copies the files that its commands run', () => {
  const dockerfile = readFileSync('deploy/Dockerfile', 'utf8')
  const entrypoint = readFileSync('deploy/entrypoint.sh', 'utf8')
  for (const [, file] of entrypoint.matchAll(/node (\S+\.ts)/g)) {
    expect(file!.startsWith('services/')).toBe(true)
    expect(() => readFileSync(file!)).not.toThrow()
  }
  expect(dockerfile).toMatch(/^USER node$/m)
  expect(dockerfile).toMatch(/^HEALTHCHECK /m)
})

function composeEnvironment(name: string): Record<string, string> {
  const { services } = parse(readFileSync('deploy/compose.yaml', 'utf8'), { merge: true }) as Compose
  const entries = Object.entries(services[name]!.environment!)
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      String(value).replace(/\$\{(\w+)\}/g, (_all, secret: string) => SECRETS[secret]!),
    ]),
  )
}

/** `@scope/name` or `name` of every import from a package. */
function importedPackages(source: string): string[] {
  const specifiers = [...source.matchAll(/(?<!'|distinct )(?:from|import|import\() ?'([^'.#][^']*)'/g)].map(
    ([, specifier]) => specifier!,
  )
  const packages = specifiers.filter((specifier) => !specifier.startsWith('node:'))
  return packages.map((specifier) =>
    specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/'),
  )
}

/** All settings of the example, including the commented ones. */
const EXAMPLE = Object.fromEntries(
  [...readFileSync('deploy/example.env', 'utf8').matchAll(/^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$/gm)].map(
    ([, name, value]): [string, string] => [name!, value!],
  ),
)
/** The names without the suffix `_FILE`, which the setting of every secret may have. */
const withoutFile = (names: Iterable<string>) =>
  [...new Set([...names].map((name) => name.replace(/_FILE$/, '')))].toSorted()

test('the example lists exactly the settings that the services read', () => {
  const asked = new Set<string>()
  // The services read the origin and the state only if there is a key.
  const withKey: Environment = { ...EXAMPLE, AUDIT_KEY: SECRETS['AUDIT_KEY'] }
  const watched = new Proxy(withKey, {
    get: (target, key: string) => {
      asked.add(key)
      return target[key]
    },
  })
  for (const read of Object.values(READ)) expect(() => read(watched)).not.toThrow(TypeError)
  expect(withoutFile(Object.keys(EXAMPLE))).toEqual(withoutFile([...asked, 'ARTIFACT_ADDRESS', 'AUDIT_ADDRESS']))
})

test('the example shows the defaults of the byte settings', () => {
  const { S3_PUBLIC_ENDPOINT: _public, STORE_DIRECTORY: _directory, ...example } = EXAMPLE
  const common = ['METADATA_ADDRESS', 'AUDIT_ADDRESS', 'DATABASE_URL', 'SERVICE_TOKEN', 'TRUSTED_SERVICES']
  const needed = [...common, 'S3_ENDPOINT', 'S3_BUCKET', 'S3_ACCESS_KEY', 'S3_SECRET_KEY', 'HOST', 'PORT']
  const least = Object.fromEntries(needed.map((name) => [name, EXAMPLE[name]]))
  const { TLS_CERT_FILE: _cert, TLS_KEY_FILE: _key, ...plain } = example
  expect(readArtifactSettings(plain)).toEqual(readArtifactSettings(least))
})
