// artifact gc, verify, stat.
import type { Command } from 'commander'
import { lazily } from '../context.ts'

const WHAT = 'a version, or the digest of a file in the namespace'

export function addArtifactCommands(program: Command): void {
  const artifact = program.command('artifact').description('look after the stored bytes')
  artifact
    .command('gc')
    .description(
      'remove what no version needs, after its lease and its time of grace; all namespaces unless -n is given',
    )
    .option('--dry-run', 'tell what would go, and change nothing')
    .action(lazily(async () => (await import('../commands/artifact/artifact-gc.ts')).collectGarbage))
  artifact
    .command('verify <ref-or-digest>')
    .description('have the stored bytes read again and compared with their digests; exit code 7 if they are not right')
    .addHelpText('after', `\n<ref-or-digest>: ${WHAT}`)
    .action(lazily(async () => (await import('../commands/artifact/artifact-verify.ts')).verifyArtifact))
  artifact
    .command('stat [ref-or-digest]')
    .description('what is stored, how often it is used, and when it was verified')
    .addHelpText('after', `\n[ref-or-digest]: ${WHAT}; without it, everything`)
    .action(lazily(async () => (await import('../commands/artifact/artifact-stat.ts')).showStorage))
}
