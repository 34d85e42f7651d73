// Prepares the programs that tests start as processes, so that a start costs little CPU: a bundle of the command, and a
// folder where Node stores the compiled code of the services.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'rolldown'
import type { TestProject } from 'vitest/node'
import { COMPILE_CACHE } from './compile-cache.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The bundled `modelkeep` command. */
    cliBundle: string
  }
}

const CLI = join(import.meta.dirname, '..', '..', 'clients', 'cli')

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-programs-'))
  await writeFile(join(home, 'package.json'), '{ "type": "module" }')
  // The bundle lies as deep as the sources, because the command finds its compile cache and default data directory relative
  // to itself.
  const bundle = join(home, 'clients', 'cli')
  await bundleCli(bundle)
  project.onTestsRerun(() => bundleCli(bundle))
  project.provide('cliBundle', join(bundle, 'modelkeep.js'))
  // Vitest's workers inherit this variable.
  process.env[COMPILE_CACHE] = join(home, 'compile-cache')
  return () => rm(home, { recursive: true, force: true })
}

async function bundleCli(directory: string): Promise<void> {
  await build({
    input: {
      'modelkeep.js': join(CLI, 'modelkeep.ts'),
      // The command starts this worker by its name, from its own folder.
      'part-thread-worker.ts': join(CLI, '..', 'verifier', 'export', 'part-thread-worker.ts'),
    },
    platform: 'node',
    logLevel: 'warn',
    output: { dir: directory, entryFileNames: '[name]', chunkFileNames: '[name].js' },
  })
}
