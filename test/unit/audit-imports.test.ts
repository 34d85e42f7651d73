// The verifier must run with nothing but Node, its own folder and services/lib/tlog.
import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')
const VERIFIER = join(ROOT, 'clients', 'verifier')
const TLOG = join(ROOT, 'services', 'lib', 'tlog')
/** The module of an import, an export, an `import()` or a `new URL()`. */
const SPECIFIERS = /(?:\bfrom |\bimport |\bimport\(|\bnew URL\()'([^']+)'/g

/** The imports below `folder` that lead outside of the allowed folders, each with its file. */
function foreignImports(folder: string, allowed: string[]): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  return files.flatMap((file) => {
    const specifiers = [...readFileSync(join(folder, file), 'utf8').matchAll(SPECIFIERS)].map(([, name]) => name!)
    const foreign = specifiers.filter((name) => !isAllowed(name, dirname(join(folder, file)), allowed))
    return foreign.map((name) => `${relative(ROOT, join(folder, file))}: ${name}`)
  })
}

function isAllowed(name: string, from: string, allowed: string[]): boolean {
  if (name.startsWith('node:')) return isBuiltin(name)
  const path = name.startsWith('#lib/') ? join(ROOT, 'services', 'lib', name.slice('#lib/'.length)) : join(from, name)
  const isFile = name.startsWith('.') || name.startsWith('#lib/') || name.endsWith('.ts')
  return isFile && allowed.some((folder) => path.startsWith(folder + sep))
}

test('the verifier imports Node modules, its own files and tlog only', () => {
  expect(foreignImports(VERIFIER, [VERIFIER, TLOG])).toEqual([])
})

test('tlog imports Node modules and its own files only', () => {
  expect(foreignImports(TLOG, [TLOG])).toEqual([])
})

test('an import of a package, of the command or of another part of the library is found', () => {
  expect(isAllowed('commander', VERIFIER, [VERIFIER, TLOG])).toBe(false)
  expect(isAllowed('../cli/settings.ts', VERIFIER, [VERIFIER, TLOG])).toBe(false)
  expect(isAllowed('#lib/errors/errors.ts', VERIFIER, [VERIFIER, TLOG])).toBe(false)
  expect(isAllowed('node:nothing', VERIFIER, [VERIFIER, TLOG])).toBe(false)
})
