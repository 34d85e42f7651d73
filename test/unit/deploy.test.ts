import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { readArtifactSettings } from '../../services/artifact/config.ts'
import { readAuditSettings } from '../../services/audit/config.ts'
import { ConfigError, type Environment } from '../../services/lib/env.ts'
import { SERVICE_NAMES } from '../../services/lib/settings.ts'
import { readMetadataSettings } from '../../services/metadata/config.ts'

const READ: Record<(typeof SERVICE_NAMES)[number], (environment: Environment) => unknown> = {
  metadata: readMetadataSettings,
  artifact: readArtifactSettings,
  audit: readAuditSettings,
}

interface Compose {
  services: Record<string, { environment?: Record<string, unknown>; command?: string[] }>
}

const SECRETS: Record<string, string> = {
  POSTGRES_PASSWORD: 'secret',
  S3_ACCESS_KEY: 'modelkeep',
  S3_SECRET_KEY: 'secret',
  AUDIT_KEY: generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  ...Object.fromEntries(
    SERVICE_NAMES.flatMap((name) => [
      [`${name.toUpperCase()}_TOKEN`, `mks_${name.padEnd(40, 'x')}`],
      [`${name.toUpperCase()}_TOKEN_SHA256`, '0'.repeat(64)],
    ]),
  ),
}

test.each(SERVICE_NAMES)('the compose file gives %s settings that it accepts, and no others', (name) => {
  const environment = composeEnvironment(name)
  expect(() => READ[name](environment)).not.toThrow()
  const asked = new Set<string>()
  const watched = new Proxy(environment, { get: (target, key: string) => (asked.add(key), target[key]) })
  READ[name](watched)
  const known = [...asked, 'METADATA_ADDRESS', 'ARTIFACT_ADDRESS', 'AUDIT_ADDRESS']
  expect(Object.keys(environment).filter((key) => !known.includes(key))).toEqual([])
})

test.each(SERVICE_NAMES)('%s without settings names all that are missing at once', (name) => {
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

test('what the services import is installed in the image, which has no development packages', () => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> }
  const files = readdirSync('services', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const packages = new Set(files.flatMap((file) => importedPackages(readFileSync(join('services', file), 'utf8'))))
  const missing = [...packages].filter((name) => !(name in dependencies) && !builtinModules.includes(name))
  expect(missing).toEqual([])
})

test('the image copies what its commands run', () => {
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
  const specifiers = [...source.matchAll(/(?:from|import|import\() ?'([^'.#][^']*)'/g)].map(
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
