// The command line: global options, the groups of commands, and the output of failures.
import { Command, CommanderError } from 'commander'
import { CliError, EXIT } from './terminal/cli-error.ts'
import { addAccessCommands } from './program/access.ts'
import { addAliasCommands } from './program/alias.ts'
import { addArtifactCommands } from './program/artifact.ts'
import { addAuditCommands } from './program/audit.ts'
import { addBrowseCommands } from './program/browse.ts'
import { addEvaluationCommands } from './program/evaluation.ts'
import { addGateCommands } from './program/gate.ts'
import { addModelCommands } from './program/model.ts'
import { addPromotionCommands } from './program/promotion.ts'
import { addCacheCommands, addTransferCommands } from './program/transfer.ts'
import type { Unmet } from './terminal/failure.ts'
import { environment } from './settings.ts'

const HELP = `
References:
  [namespace/]model    a model; the namespace is "default" unless -n is given
  vad:2  vad:1.2.0     a version by number or semver
  vad@production       a version by alias; vad@latest is the highest number
  vad@sha256:<hex>     a version by digest
  0199f3c2-…           a model or version by UUID

Server and token (the first that is set wins):
  --address, --token
  MODELKEEP_ADDRESS, or MODELKEEP_METADATA_ADDRESS, MODELKEEP_ARTIFACT_ADDRESS and MODELKEEP_AUDIT_ADDRESS
  MODELKEEP_TOKEN, or MODELKEEP_TOKEN_FILE
  the server started by "npm start" (MODELKEEP_DATA, or .modelkeep in this clone)

Exit codes:
  0 success       1 failure      2 usage error   3 not found            4 denied
  5 conflict      6 unavailable  7 integrity check failed
  8 policy not met              130 interrupted

Examples:
  modelkeep push model.onnx vad --param sample_rate=16000 --metric f1=0.93
  modelkeep alias set vad@production 2 --reason "better on noisy calls"
  modelkeep promote vad:3 production --reason "better on noisy calls"
  modelkeep pull vad@production ./out
  modelkeep log vad`

export function buildProgram(): Command {
  const program = new Command('modelkeep')
    .description('A model registry you can prove: push, find, promote and pull models, and see who did what.')
    .version('0.1.0')
    .option(
      '-n, --namespace <name>',
      'namespace for references without one (default: MODELKEEP_NAMESPACE or "default")',
    )
    .option('--address <url>', 'address of the server')
    .option('--token <token>', 'API token; prefer MODELKEEP_TOKEN_FILE')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'modelkeep: ')) })
    .exitOverride()
  addTransferCommands(program)
  addBrowseCommands(program)
  addAliasCommands(program)
  addEvaluationCommands(program)
  addGateCommands(program)
  addPromotionCommands(program)
  addModelCommands(program)
  addAccessCommands(program)
  addArtifactCommands(program)
  addAuditCommands(program)
  addCacheCommands(program)
  pointToHelp(program, 'modelkeep')
  return program
}

/** After a usage error, each command points to its own help. */
function pointToHelp(command: Command, path: string): void {
  command.showHelpAfterError(`  See: ${path} --help`)
  for (const child of command.commands) pointToHelp(child, `${path} ${child.name()}`)
}

/** Runs one command line, and returns the exit code. */
export async function runCommand(argv: string[]): Promise<number> {
  endQuietlyOnClosedPipe()
  let running: Command | undefined
  const program = buildProgram().hook('preAction', (_, command) => void (running = command))
  try {
    await program.parseAsync(argv)
    return EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    return printFailure(error, argv.includes('--json'), running)
  }
}

async function printFailure(error: unknown, json: boolean, running: Command | undefined): Promise<number> {
  const { RESUME_HINT, isResumable, Interrupted, printInterrupted } = await import('./terminal/interruption.ts')
  if ([error, (error as Error).cause].some((cause) => cause instanceof Interrupted)) return printInterrupted(running)
  const { explain } = await import('./terminal/failure.ts')
  const { exit, message, reason, metadata, unmet, ...failure } = explain(error, modelOf(running))
  const hints = [failure.hint, isResumable(running) && exit === 'unavailable' && `To resume: ${RESUME_HINT}`].filter(
    Boolean,
  )
  const hint = hints.length > 0 ? hints.join(json ? '; ' : '\n  ') : undefined
  if (json)
    process.stderr.write(`${JSON.stringify({ error: { reason, message, hint, metadata, unmet, exit: EXIT[exit] } })}\n`)
  else
    process.stderr.write(['modelkeep: ' + message, ...unmetLines(unmet), ...(hint ? [`  ${hint}`] : []), ''].join('\n'))
  if (environment()['MODELKEEP_DEBUG'] && !(error instanceof CliError)) console.error(error)
  return EXIT[exit]
}

/** Formats the conditions that are not met, one per line. */
function unmetLines(unmet: Unmet[] = []): string[] {
  return unmet.map(({ gate, expression, sentence }) => `  ✗ ${gate}: ${sentence}: ${expression}`)
}

/** Returns the model that the command line names, for hints. */
function modelOf(running: Command | undefined): string | undefined {
  if (!running) return undefined
  const at = running.registeredArguments.findIndex((argument) => ['model', 'ref', 'alias'].includes(argument.name()))
  const name = running.args[at]?.split(/[:@]/)[0]
  const { namespace } = running.optsWithGlobals<{ namespace?: string }>()
  return name && namespace && !name.includes('/') ? `${namespace}/${name}` : name
}

/** A closed pipe, as in `modelkeep log | head`, is not a failure. */
function endQuietlyOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok)
    throw error
  })
}
