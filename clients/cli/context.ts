// The context of a command. Heavy modules are loaded only when a command runs.
import type { Command } from 'commander'
import { interruptible } from './terminal/interruption.ts'
import type { Output } from './terminal/output.ts'
import type { Registry } from './connection/registry.ts'
import { environment, readSettings, type GlobalOptions } from './settings.ts'

export interface Context {
  output: Output
  /** The namespace of references without one. */
  namespace: string
  /** The signal that Ctrl-C aborts. */
  signal: AbortSignal
  /** Opens the clients of the services. Throws CliError if no server or token is configured. */
  registry(): Registry
  /** Prints a note on stderr, unless `--json` is given. */
  note(text: string): void
  close(): void
}

type Action<A extends unknown[]> = (context: Context, ...args: A) => Promise<void>

/** Returns a commander action that loads its command when it is called. */
export function lazyAction<A extends unknown[]>(load: () => Promise<Action<A>>): (...call: unknown[]) => Promise<void> {
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
