// Excludes faults that `npm run check` rejects, because they cannot be committed and need no test.
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { copyTree } from './copy.ts'
import { applyFault, REPOSITORY, type Fault } from './faults.ts'

/** Returns the faults in whose files neither the compiler nor the linter finds an error. */
export async function screenFaults(faults: readonly Fault[], tree = REPOSITORY): Promise<Fault[]> {
  const copy = await copyTree(tree)
  try {
    const applied: Fault[] = []
    for (const fault of faults) if (await isApplied(join(copy.root, fault.file), fault)) applied.push(fault)
    const refused = new Set([
      ...(await filesIn(copy.root, 'tsc', ['--pretty', 'false'])),
      ...(await filesIn(copy.root, 'oxlint', ['--type-aware', '--deny-warnings', '-f', 'unix'])),
    ])
    return applied.filter((fault) => !refused.has(fault.file))
  } finally {
    await copy.remove()
  }
}

/** Returns false if another fault changes the same line. */
async function isApplied(path: string, fault: Fault): Promise<boolean> {
  try {
    await writeFile(path, applyFault(await readFile(path, 'utf8'), fault))
    return true
  } catch {
    return false
  }
}

/** Returns the files in which a program finds an error. */
async function filesIn(root: string, program: string, args: string[]): Promise<string[]> {
  const command = join(root, 'node_modules', '.bin', program)
  const output = await new Promise<string>((resolve) => {
    // The exit code only shows that there are errors.
    execFile(command, args, { cwd: root, maxBuffer: 2 ** 26 }, (_, stdout) => resolve(stdout))
  })
  return [...output.matchAll(/^(\S+?\.ts)[(:]\d+[,:]/gm)].map(([, file = '']) => file.replace(`${root}/`, ''))
}
