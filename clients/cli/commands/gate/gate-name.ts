import { failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'

/** Parses `[namespace/]gate`. Throws CliError. */
export function parseGateName(context: Context, text: string): { namespace: string; name: string } {
  const [first = '', second, ...more] = text.split('/')
  if (more.length > 0) failUsage(`"${text}" has more than one slash`, 'Write [namespace/]gate.')
  return second === undefined ? { namespace: context.namespace, name: first } : { namespace: first, name: second }
}
