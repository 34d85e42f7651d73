// The command gate test tests a version against the gates of an alias, or against given rules.
import { TestGateResponseSchema, GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { CliError } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { jsonOf, versionName } from '../../terminal/output.ts'
import { unary } from '../../connection/registry.ts'
import { countUnmet, decisionText } from '../promotion/decisions.ts'
import { hasRules, readRules, type RuleOptions } from './gate-rules.ts'
import { resolveRef } from '../alias/resolve.ts'

export async function testGate(
  context: Context,
  text: string,
  alias: string,
  options: Pick<RuleOptions, 'condition' | 'file'>,
): Promise<void> {
  const { output } = context
  const rules = hasRules(options) ? await readRules(options) : undefined
  if (rules) rules.aliasPattern ||= alias
  const version = await resolveRef(context, text)
  const registry = context.registry()
  const request = { version: { ref: { case: 'id' as const, value: version.id } }, alias, ...(rules && { rules }) }
  const answer = await registry.metadata(GateService).testGate(request, unary(registry))
  if (output.json) output.document(jsonOf(TestGateResponseSchema, answer))
  else if (answer.decisions.length === 0) output.write(`nothing guards ${version.namespace}/${version.model}@${alias}`)
  else output.write(answer.decisions.map(decisionText).join('\n'))
  if (answer.passed) return
  const unmet = countUnmet(answer.decisions)
  const message = `${versionName(version)} does not meet ${unmet === 1 ? 'a condition' : `${unmet} conditions`} for ${alias}`
  throw new CliError('policy', message, { reason: 'GATE_UNMET' })
}
