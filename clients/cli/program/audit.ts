// audit export, verify, consistency, monitor, proof, checkpoint, redact, hold.
import type { Command } from 'commander'
import { lazily } from '../context.ts'

const KEY = "the log's public key, name+id+base64, or a file that holds it; may be repeated"
const POLICY = 'file that says which witnesses must have cosigned (c2sp.org/tlog-policy); 8 if too few have'
const collect = (key: string, others: string[] = []): string[] => [...others, key]

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('take the log along, and check it without any server')
  audit
    .command('export <file>')
    .description('write the whole log and its signed checkpoint to a file')
    .option('--format <format>', '«proof», which audit verify takes, or «cloudevents», one JSON event a line', 'proof')
    .action(lazily(async () => (await import('../commands/audit/audit.ts')).exportLog))
  audit
    .command('verify <file>')
    .description('check an export or a .tlog-proof: nothing changed, moved or missing; exit code 7 if it is not so')
    .option('--key <vkey>', KEY, collect)
    .option('--policy <file>', POLICY)
    .action(lazily(async () => (await import('../commands/audit/audit-verify.ts')).verify))
  audit
    .command('consistency <old> <new>')
    .description('check that a newer export, or checkpoint with proof, continues an older one; exit code 7 if not')
    .option('--key <vkey>', KEY, collect)
    .option('--policy <file>', POLICY)
    .action(lazily(async () => (await import('../commands/audit/audit-verify.ts')).consistency))
  audit
    .command('monitor <address>')
    .description(
      'follow a log (tlog-tiles) and check that it only grows; 7 if it was forked or rolled back, 8 if stale',
    )
    .option('--key <vkey>', KEY, collect)
    .option('--policy <file>', POLICY)
    .requiredOption('--state <file>', 'keeps the last verified checkpoint')
    .option('--once', 'look once, and end')
    .option('--every <seconds>', 'time between two looks', '60')
    .option('--stale-after <seconds>', 'complain when there is no newer checkpoint for so long')
    .action(lazily(async () => (await import('../commands/audit/audit-monitor.ts')).monitor))
  audit
    .command('proof <event-id>')
    .description('write a proof that an event is in the log, and the event beside it')
    .option('--out <name>', 'name of the files, .tlog-proof and .json; default: the event id')
    .action(lazily(async () => (await import('../commands/audit/audit.ts')).proveEvent))
  audit
    .command('checkpoint')
    .description('print the newest signed checkpoint')
    .option('--since <file>', 'prove before it that the log continues the checkpoint or export in this file')
    .option('--key <vkey>', `check its signature: ${KEY}`, collect)
    .option('--policy <file>', POLICY)
    .action(lazily(async () => (await import('../commands/audit/audit.ts')).showCheckpoint))
  audit
    .command('health')
    .description('show how the log is, and its alarms: gaps, changed repeats, clocks; exit code 8 if there are any')
    .action(lazily(async () => (await import('../commands/audit/audit-health.ts')).health))
  addPrivacyCommands(audit)
}

function addPrivacyCommands(audit: Command): void {
  const load = () => import('../commands/audit/audit-privacy.ts')
  audit
    .command('redact <event-id>')
    .description('erase private values of an event, its reason above all; the log tells of it, and every proof holds')
    .requiredOption('--reason <text>', 'why, and on what basis')
    .option('--field <name...>', 'what to erase, as «reason» or «details.email»; default: all')
    .option('--yes', 'do not ask')
    .action(lazily(async () => (await load()).redact))
  const hold = audit.command('hold').description('keep private values from being erased')
  hold
    .command('place')
    .requiredOption('--reason <text>', 'why')
    .option('--on <namespace>', 'hold the events of a namespace, or all with *')
    .option('--resource <id>', 'hold the events of one resource')
    .action(lazily(async () => (await load()).placeHold))
  hold
    .command('release <hold>')
    .requiredOption('--reason <text>', 'why')
    .action(lazily(async () => (await load()).releaseHold))
  audit
    .command('retention')
    .description('show how long private values are kept, by the class of their event')
    .action(lazily(async () => (await load()).showRetention))
  hold.command('list').action(lazily(async () => (await load()).listHolds))
}
