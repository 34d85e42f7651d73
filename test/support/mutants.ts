// Runs TypeScript files with one line changed, without writing them anywhere: Node's loader is given the changed text. In a
// process of its own, as hooks of the loader are for all that is imported after them.
import { readFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface Mutant {
  /** For the list of those that were missed. */
  name: string
  /** In the folder. */
  file: string
  /** From 0. */
  line: number
  text: string
}

const MARK = '?mutant='

/** `isOwn` names the files of the folder that each mutant has for itself; the others are shared. */
export function loadMutants(folder: string, isOwn: RegExp) {
  const mutants: (Mutant | undefined)[] = []
  const base = `${pathToFileURL(folder).href}/`
  const plain = new Map<string, string>()

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
      const isShared = !found.url.startsWith(base) || !isOwn.test(found.url.slice(base.length))
      return number === undefined || isShared ? found : { ...found, url: `${found.url}${MARK}${number}` }
    },
    load(url, context, next) {
      const [file = '', number] = url.split(MARK)
      if (number === undefined) return next(url, context)
      const source = sourceOf(file.slice(base.length), mutants[Number(number)])
      return { format: 'module', source, shortCircuit: true }
    },
  })
  /** Without a mutant: the file as it is. */
  return (file: string, mutant?: Mutant): Promise<unknown> =>
    import(`${base}${file}${MARK}${mutants.push(mutant) - 1}`).catch((error: Error) => {
      throw new Error(`${mutant?.name ?? file} cannot run`, { cause: error })
    })
}
