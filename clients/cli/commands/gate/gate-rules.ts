// Reads the rules of a gate from options and files, and formats them.
import { clone, create, fromJson } from '@bufbuild/protobuf'
import { readFile } from 'node:fs/promises'
import { text as readStream } from 'node:stream/consumers'
import { ConditionSchema, GateRulesSchema, type Condition, type GateRules } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import { clean } from '../../terminal/output.ts'

export interface RuleOptions {
  alias?: string
  condition?: string[]
  approvals?: string
  approver?: string[]
  expiry?: string
  file?: string
  /** False removes all conditions, or all approvers. */
  conditions?: boolean
  approvers?: boolean
}

/** Returns the rules of the file, or else the current ones, with the options applied. Throws CliError. */
export async function readRules(options: RuleOptions, current?: GateRules): Promise<GateRules> {
  const { alias, condition, approvals, approver, expiry, file } = options
  const rules =
    file === undefined ? clone(GateRulesSchema, current ?? create(GateRulesSchema)) : await readRulesFile(file)
  if (alias !== undefined) rules.aliasPattern = alias
  if (options.conditions === false) rules.conditions = []
  if (options.approvers === false) rules.approvers = []
  if (condition) rules.conditions = condition.map(parseCondition)
  if (approvals !== undefined) rules.approvalsRequired = parseCount(approvals)
  if (approver) rules.approvers = approver
  if (expiry !== undefined) rules.expiry = create(GateRulesSchema, { expiry: { seconds: parseExpiry(expiry) } }).expiry!
  return rules
}

export function hasRules(options: RuleOptions): boolean {
  const { alias, condition, approvals, approver, expiry, file, conditions, approvers } = options
  const isGiven = [alias, condition, approvals, approver, expiry, file].some((option) => option !== undefined)
  return isGiven || conditions === false || approvers === false
}

async function readRulesFile(file: string): Promise<GateRules> {
  const json = file === '-' ? await readStream(process.stdin) : await readFile(file, 'utf8')
  try {
    return fromJson(GateRulesSchema, JSON.parse(json))
  } catch (error) {
    failUsage(
      `--file ${file} contains no valid rules: ${(error as Error).message}`,
      'Write it like {"aliasPattern": "production", "conditions": [{"expression": "…", "sentence": "…"}], "approvalsRequired": 2}.',
    )
  }
}

/** Parses `<expression> :: <sentence>`. */
function parseCondition(text: string): Condition {
  const [, expression, sentence] = /^(.*\S)\s+::\s+(\S.*)$/s.exec(text) ?? []
  if (!expression || !sentence) {
    const hint = "Write '<expression> :: <sentence>', for example 'version.metrics.f1 >= 0.95 :: f1 is at least 0.95'."
    failUsage(`--condition "${text}" has no explanation`, hint)
  }
  return create(ConditionSchema, { expression: expression.trim(), sentence: sentence.trim() })
}

function parseCount(text: string): number {
  if (!/^\d{1,2}$/.test(text)) failUsage(`--approvals "${text}" is not a number from 0 to 10`)
  return Number(text)
}

const SECONDS = { m: 60n, h: 3_600n, d: 86_400n } as const

function parseExpiry(text: string): bigint {
  const [, count, unit] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? []
  if (!count) failUsage(`--expiry "${text}" is invalid; write 30m, 12h or 7d`)
  return BigInt(count) * SECONDS[unit as keyof typeof SECONDS]
}

/** Formats the rules, one per line. */
export function ruleRows(rules: GateRules | undefined): [string, string][] {
  if (!rules) return [['rules', 'deleted']]
  const { aliasPattern, conditions, approvalsRequired, approvers } = rules
  return [
    ['guards', `@${aliasPattern}`],
    ...conditions.map((condition, index): [string, string] => [index === 0 ? 'when' : '', conditionText(condition)]),
    ['approvals', approvalsRequired === 0 ? 'none' : String(approvalsRequired)],
    ['approvers', approvers.join(', ')],
    ['expiry', approvalsRequired === 0 ? '' : durationText(Number(rules.expiry?.seconds ?? 7n * SECONDS.d))],
  ]
}

function conditionText({ expression, sentence }: Condition): string {
  return `${clean(sentence)}: ${clean(expression)}`
}

function durationText(seconds: number): string {
  const [unit, length] = (
    [
      ['d', 86_400],
      ['h', 3_600],
      ['m', 60],
    ] as const
  ).find(([, of]) => seconds % of === 0) ?? ['s', 1]
  return `${seconds / length}${unit}`
}
