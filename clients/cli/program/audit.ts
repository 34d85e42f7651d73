// The commands audit export, verify, consistency, monitor, proof, checkpoint, redact and hold.
import type { Command } from 'commander'
import { lazyAction } from '../context.ts'
import { collect } from './collect.ts'

const KEY = 'public key of the log, name+id+base64, or a file that contains it; repeatable'
const POLICY = 'file with the required witnesses (c2sp.org/tlog-policy); exit code 8 if too few cosigned'

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('export the audit log, and verify it without a server')
  audit
    .command('export <file>')
    .description('export the whole log with its signed checkpoint to a file')
    .option('--format <format>', '"proof" for audit verify, or "cloudevents", one JSON event per line', 'proof')
    .action(lazyAction(async () => (await import('../commands/audit/audit-export.ts')).exportLog))
  audit
    .command('verify <file>')
    .description('verify an export or a .tlog-proof; exit code 7 if anything was changed, moved or removed')
    .option('--key <vkey>', KEY, collect)
    .option('--policy <file>', POLICY)
    .action(lazyAction(async () => (await import('../commands/audit/audit-verify.ts')).verify))
  audit
    .command('consistency <old> <new>')
    .description('verify that a newer export, or checkpoint with proof, continues an older one; exit code 7 if not')
    .option('--key <vkey>', KEY, collect)
    .option('--policy <file>', POLICY)
    .action(lazyAction(async () => (await import('../commands/audit/audit-verify.ts')).consistency))
  addServerCommands(audit)
  addPrivacyCommands(audit)
}

/** Commands that read a running log. */
function addServerCommands(audit: Command): void {
  audit
    .command('monitor <address>')
    .description('monitor a log (tlog-tiles); exit code 7 if it was forked or rolled back, 8 if stale')
    .option('--key <vkey>', KEY, collect)
    .option('--policy <file>', POLICY)
    .requiredOption('--state <file>', 'file for the last verified checkpoint')
    .option('--once', 'check once, then exit')
    .option('--every <seconds>', 'time between two checks', '60')
    .option('--stale-after <seconds>', 'report the log as stale after this time without a newer checkpoint')
    .action(lazyAction(async () => (await import('../commands/audit/audit-monitor.ts')).monitor))
  audit
    .command('proof <event-id>')
    .description('write a proof that an event is in the log, and the event itself')
    .option('--out <name>', 'base name of the files .tlog-proof and .json (default: the event id)')
    .action(lazyAction(async () => (await import('../commands/audit/audit-proof.ts')).proveEvent))
  audit
    .command('checkpoint')
    .description('print the newest signed checkpoint')
    .option('--since <file>', 'prepend a proof that the log continues the checkpoint or export in this file')
    .option('--key <vkey>', `verify its signature with this key: ${KEY}`, collect)
    .option('--policy <file>', POLICY)
    .action(lazyAction(async () => (await import('../commands/audit/audit-checkpoint.ts')).showCheckpoint))
  audit
    .command('health')
    .description('show the state of the log and its alarms: gaps, altered repeats, clock jumps; exit code 8 on alarms')
    .action(lazyAction(async () => (await import('../commands/audit/audit-health.ts')).health))
}

function addPrivacyCommands(audit: Command): void {
  const load = () => import('../commands/audit/audit-privacy.ts')
  audit
    .command('redact <event-id>')
    .description('erase private values of an event, such as its reason; the erasure is recorded, and proofs stay valid')
    .requiredOption('--reason <text>', 'reason and legal basis')
    .option('--field <name...>', 'fields to erase, such as "reason" or "details.email" (default: all)')
    .option('--yes', 'skip the confirmation')
    .action(lazyAction(async () => (await load()).redact))
  const hold = audit.command('hold').description('manage legal holds, which prevent erasure of private values')
  hold
    .command('place')
    .description('place a legal hold on a namespace or a resource')
    .requiredOption('--reason <text>', 'reason')
    .option('--on <namespace>', 'hold the events of a namespace, or of all with *')
    .option('--resource <id>', 'hold the events of one resource')
    .action(lazyAction(async () => (await load()).placeHold))
  hold
    .command('release <hold>')
    .description('release a legal hold')
    .requiredOption('--reason <text>', 'reason')
    .action(lazyAction(async () => (await load()).releaseHold))
  audit
    .command('retention')
    .description('show how long private values are stored, by retention class')
    .action(lazyAction(async () => (await load()).showRetention))
  hold
    .command('list')
    .description('list the legal holds')
    .action(lazyAction(async () => (await load()).listHolds))
}
