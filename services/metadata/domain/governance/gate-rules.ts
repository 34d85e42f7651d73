// Validation of the rules of gates.
import { fromJson, toJson, toJsonString, type JsonValue } from '@bufbuild/protobuf'
import type { Duration } from '@bufbuild/protobuf/wkt'
import { GateRulesSchema, type GateRules } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { failField, failLimit } from '#lib/errors/errors.ts'
import { checkExpression } from './condition.ts'
import { parsePrincipal } from '../identity.ts'
import { parseNamespaceName } from '../names.ts'
import { parseRequiredLine } from '../text.ts'

const PATTERN = /^[\w.*-]{1,128}$/
const MAX_CONDITIONS = 20
const MAX_SENTENCE = 255
const MAX_APPROVALS = 10
const MAX_APPROVERS = 100
const MAX_BYTES = 16_384
const MINUTE = 60
const DAY = 86_400
const MAX_EXPIRY_SECONDS = 90 * DAY
const DEFAULT_EXPIRY_SECONDS = 7 * DAY

/** Parses the name of a gate, which has the format of the name of a namespace. */
export function parseGateName(name: string, field: string): string {
  return parseNamespaceName(name, field)
}

/** Validates the rules and fills in the default expiry. */
export function parseRules(rules: GateRules | undefined): GateRules {
  if (!rules) failField('rules', 'is required')
  const { aliasPattern, conditions, approvalsRequired, approvers, expiry } = rules
  if (aliasPattern === '') failField('rules.alias_pattern', 'is required')
  if (!PATTERN.test(aliasPattern)) {
    failField('rules.alias_pattern', 'must be 1 to 128 characters: letters, digits . _ - and *')
  }
  if (conditions.length > MAX_CONDITIONS) failLimit('rules.conditions', MAX_CONDITIONS, 'conditions')
  for (const [index, { expression, sentence }] of conditions.entries()) {
    checkExpression(expression, `rules.conditions[${index}].expression`)
    parseRequiredLine(sentence, `rules.conditions[${index}].sentence`, MAX_SENTENCE)
  }
  if (approvalsRequired < 0 || approvalsRequired > MAX_APPROVALS) {
    failField('rules.approvals_required', `must be from 0 to ${MAX_APPROVALS}`)
  }
  if (conditions.length === 0 && approvalsRequired === 0) {
    failField('rules', 'must have a condition or require an approval')
  }
  checkApprovers(approvers, approvalsRequired)
  const parsed = { ...rules, expiry: parseExpiry(expiry) }
  if (rulesBytes(parsed) > MAX_BYTES) failLimit('rules', MAX_BYTES, 'bytes')
  return parsed
}

/** Returns the size of the rules as JSON. */
export function rulesBytes(rules: GateRules): number {
  return Buffer.byteLength(toJsonString(GateRulesSchema, rules))
}

/** Converts rules to the JSON that is stored. */
export function rulesToJson(rules: GateRules): JsonValue {
  return toJson(GateRulesSchema, rules)
}

/** Returns the rules of a stored gate. */
export function rulesOf({ rules }: { rules: JsonValue }): GateRules {
  return fromJson(GateRulesSchema, rules)
}

function checkApprovers(approvers: string[], required: number): void {
  if (approvers.length > MAX_APPROVERS) failLimit('rules.approvers', MAX_APPROVERS, 'principals')
  for (const [index, principal] of approvers.entries()) {
    parsePrincipal(principal, `rules.approvers[${index}]`)
    const first = approvers.indexOf(principal)
    if (first < index) failField(`rules.approvers[${index}]`, `must differ from rules.approvers[${first}]`)
  }
  if (approvers.length > 0 && required === 0) {
    failField('rules.approvals_required', 'must be at least 1 when approvers are listed')
  }
  if (approvers.length > 0 && approvers.length < required) {
    failField('rules.approvals_required', `must be at most the number of approvers: ${approvers.length}`)
  }
}

function parseExpiry(expiry: Duration | undefined): Duration {
  const given = expiry ?? {
    $typeName: 'google.protobuf.Duration' as const,
    seconds: BigInt(DEFAULT_EXPIRY_SECONDS),
    nanos: 0,
  }
  if (given.seconds < MINUTE || given.seconds > MAX_EXPIRY_SECONDS || given.nanos !== 0) {
    failField('rules.expiry', 'must be whole seconds, from a minute to 90 days')
  }
  return given
}

/** Returns the seconds until a promotion under these gates expires. */
export function shortestExpiry(rules: GateRules[]): number {
  if (rules.length === 0) return DEFAULT_EXPIRY_SECONDS
  return rules.reduce((least, { expiry }) => Math.min(least, Number(expiry!.seconds)), Infinity)
}
