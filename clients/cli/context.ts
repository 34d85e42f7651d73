// What a command gets to work with, and how it ends. The heavy modules are loaded only when a command really runs.
import type { Command } from 'commander'
import { interruptible } from './terminal/interruption.ts'
import type { Output } from './terminal/output.ts'
import type { Registry } from './connection/registry.ts'
import { environment, readSettings, type GlobalOptions } from './settings.ts'

export interface Context {
  output: Output
  /** Where references without a namespace look. */
  namespace: string
  /** Aborted by Ctrl-C. */
  signal: AbortSignal
  /** Finds the server and its token; complains where there is none. */
  registry(): Registry
  /** A word to people, on stderr; not with `--json`. */
  note(text: string): void
  close(): void
}

type Action<A extends unknown[]> = (context: Context, ...args: A) => Promise<void>

/** Makes a commander action of a command that is loaded when it is called. */
export function lazily<A extends unknown[]>(load: () => Promise<Action<A>>): (...call: unknown[]) => Promise<void> {
  return async (...call) => {
    const command = call.at(-1) as Command
    const options = command.optsWithGlobals<GlobalOptions>()
    const context = await openContext(options, command)
    try {
      const action = await load()
      await action(context, ...([...call.slice(0, -2), options] as A))
    } finally {
      context.close()
    }
  }
}

async function openContext(options: GlobalOptions, command: Command): Promise<Context> {
  const [{ openOutput }, { openRegistry }] = await Promise.all([
    import('./terminal/output.ts'),
    import('./connection/registry.ts'),
  ])
  const output = openOutput(options.json ?? false)
  const signal = interruptible(command)
  let registry: Registry | undefined
  return {
    output,
    namespace: options.namespace ?? (environment()['MODELKEEP_NAMESPACE'] || 'default'),
    signal,
    registry: () => (registry ??= openRegistry(readSettings(options, environment()), signal)),
    note: (text) => void (output.json || process.stderr.write(`${text}\n`)),
    close: () => registry?.close(),
  }
}
