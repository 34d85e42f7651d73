// Loads TypeScript files with one changed line through hooks of Node's module loader, without writing them to disk. It needs a
// process of its own, because the hooks apply to all later imports.
import { readdirSync, readFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface Mutant {
  /** The name in the list of missed mutants. */
  name: string
  /** The file, relative to the folder. */
  file: string
  /** The changed line, from 0. */
  line: number
  text: string
}

const MARK = '?mutant='

/** `isOwn` matches the files of the folder that may be mutated. A mutant loads its own copy of the changed file and of those that
 * import it; all other modules are shared. */
export function loadMutants(folder: string, isOwn: RegExp) {
  const mutants: (Mutant | undefined)[] = []
  const base = `${pathToFileURL(folder).href}/`
  const plain = new Map<string, string>()

  /** The files that import `file`, directly or through others, and the file itself. */
  const importersOf = (file: string): Set<string> => {
    const found = new Set([file])
    for (const name of found) {
      for (const other of readdirSync(folder)) if (importsOf(join(folder, other)).includes(name)) found.add(other)
    }
    return found
  }
  const affected = new Map<string, Set<string>>()
  const isAffected = (file: string, mutant: Mutant | undefined): boolean => {
    if (!mutant) return true
    if (!affected.has(mutant.file)) affected.set(mutant.file, importersOf(mutant.file))
    return affected.get(mutant.file)!.has(file)
  }

  const sourceOf = (file: string, mutant: Mutant | undefined): string => {
    if (mutant?.file === file) return stripTypeScriptTypes(changedBy(mutant))
    if (!plain.has(file)) plain.set(file, stripTypeScriptTypes(readFileSync(join(folder, file), 'utf8')))
    return plain.get(file)!
  }
  const changedBy = ({ file, line, text }: Mutant): string =>
    readFileSync(join(folder, file), 'utf8').split('\n').with(line, text).join('\n')

  registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context)
      const [, number] = context.parentURL?.split(MARK) ?? []
      if (number === undefined || !found.url.startsWith(base)) return found
      const file = found.url.slice(base.length)
      const isShared = !isOwn.test(file) || !isAffected(file, mutants[Number(number)])
      return isShared ? found : { ...found, url: `${found.url}${MARK}${number}` }
    },
    load(url, context, next) {
      const [file = '', number] = url.split(MARK)
      if (number === undefined) return next(url, context)
      const source = sourceOf(file.slice(base.length), mutants[Number(number)])
      return { format: 'module', source, shortCircuit: true }
    },
  })
  /** Without a mutant, the file is loaded unchanged. */
  return (file: string, mutant?: Mutant): Promise<unknown> =>
    import(`${base}${file}${MARK}${mutants.push(mutant) - 1}`).catch((error: Error) => {
      throw new Error(`${mutant?.name ?? file} cannot run`, { cause: error })
    })
}

/** The names of the files that a file imports from its own folder. */
function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/from '\.\/([^']+)'/g)].map(([, name]) => name!)
}
