// The commands artifact gc, verify and stat.
import type { Command } from 'commander'
import { lazyAction } from '../context.ts'

const SUBJECT = 'a version, or the digest of a file in the namespace'

export function addArtifactCommands(program: Command): void {
  const artifact = program.command('artifact').description('maintain the stored bytes')
  artifact
    .command('gc')
    .description(
      'remove data that no version uses, after its lease and grace period; in all namespaces unless -n is given',
    )
    .option('--dry-run', 'list what would be removed, and change nothing')
    .action(lazyAction(async () => (await import('../commands/artifact/artifact-gc.ts')).collectGarbage))
  artifact
    .command('verify <ref-or-digest>')
    .description('read the stored bytes again and compare them with their digests; exit code 7 on a mismatch')
    .addHelpText('after', `\n<ref-or-digest>: ${SUBJECT}`)
    .action(lazyAction(async () => (await import('../commands/artifact/artifact-verify.ts')).verifyArtifact))
  artifact
    .command('stat [ref-or-digest]')
    .description('show what is stored, how much is shared, and when it was verified')
    .addHelpText('after', `\n[ref-or-digest]: ${SUBJECT}; all storage if omitted`)
    .action(lazyAction(async () => (await import('../commands/artifact/artifact-stat.ts')).showStorage))
}
