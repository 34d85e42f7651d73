// The linter enforces which rooms of a service may import each other. CONTRIBUTING has the table.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { createTemporaryDirectory } from '../support/temporary-directory.ts'

const SERVICES = ['metadata', 'artifact', 'audit']
const MAY_IMPORT: Record<string, string[]> = {
  rpc: ['changes', 'store', 'domain'],
  changes: ['store', 'domain'],
  jobs: ['changes', 'store', 'domain', 'witnesses'],
  witnesses: ['store', 'domain'],
  conditions: ['domain'],
  store: ['domain'],
  domain: [],
}
/** Rooms that only one service has. */
const OWNERS: Record<string, string> = { witnesses: 'audit', conditions: 'metadata' }
/** The only file of conditions that rpc and changes may import. */
const EVALUATION = '../../conditions/with-evaluation.ts'
const DOMAIN_MAY_IMPORT = ['errors', 'values', 'tlog', 'byte-streams']
const LIB = [...DOMAIN_MAY_IMPORT, 'access', 'events', 'lists', 'process', 'server', 'store']
const DATABASE = ['@mikro-orm/postgresql', 'kysely', 'pg']

interface Import {
  /** A file with one import; its name says of what. */
  file: string
  specifier: string
  isAllowed: boolean
}

function importsOf(service: string): Import[] {
  const rooms = Object.keys(MAY_IMPORT).filter((room) => (OWNERS[room] ?? service) === service)
  const peers = [...SERVICES, 'standalone', 'witness'].filter((peer) => peer !== service)
  return rooms.flatMap((room) => {
    const others = rooms.filter((other) => other !== room)
    const toImport = (name: string, specifier: string, isAllowed: boolean): Import => ({
      file: `services/${service}/${room}/noun/imports-${name}.ts`,
      specifier,
      isAllowed,
    })
    return [
      ...others.map((other) => toImport(other, `../../${other}/noun/file.ts`, MAY_IMPORT[room]!.includes(other))),
      ...(others.includes('conditions')
        ? [toImport('evaluation', EVALUATION, room === 'rpc' || room === 'changes')]
        : []),
      ...peers.map((peer) => toImport(peer, `../../../${peer}/domain/file.ts`, false)),
      ...LIB.map((name) => {
        const isAllowed = room !== 'domain' || DOMAIN_MAY_IMPORT.includes(name)
        return toImport(`lib-${name}`, `#lib/${name}/file.ts`, isAllowed)
      }),
      ...DATABASE.map((name) => toImport(name.replaceAll('/', '-'), name, room === 'store')),
      toImport('minio', 'minio', room === 'store' && service !== 'metadata'),
      toImport('connect', '@connectrpc/connect', room !== 'domain'),
    ]
  })
}

/** The files in which the linter refuses an import. */
function findRefused(imports: Import[]): string[] {
  const root = createTemporaryDirectory()
  copyFileSync('.oxlintrc.json', join(root, '.oxlintrc.json'))
  for (const { file, specifier } of imports) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), `import type { Noun } from '${specifier}'\nexport type { Noun }\n`)
  }
  const { stdout } = spawnSync(join(process.cwd(), 'node_modules/.bin/oxlint'), ['--format=json'], {
    cwd: root,
    encoding: 'utf8',
  })
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] }
  const refused = diagnostics.filter(({ code }) => code.includes('no-restricted-imports'))
  return [...new Set(refused.map(({ filename }) => filename))].toSorted()
}

test('the linter refuses imports of another service, and those that a room may not have', () => {
  const imports = SERVICES.flatMap(importsOf)
  const forbidden = imports.filter(({ isAllowed }) => !isAllowed).map(({ file }) => file)
  expect(findRefused(imports)).toEqual(forbidden.toSorted())
})
