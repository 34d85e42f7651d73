import { failField, failLimit } from '#lib/errors/errors.ts'
import { parseAliasName, parseNumber } from './names.ts'

const MAX_TARGETS = 100

export interface Target {
  name: string
  /** The number of the version to point at; absent to remove the alias. */
  number?: number
  /** The number that the caller expects the alias to point at; 0 if it expects no alias. */
  expected: number
}

interface RequestedTarget {
  name: string
  target: { case: 'number'; value: number } | { case: 'remove'; value: boolean } | { case: undefined }
  expectedNumber: number
}

export function parseTargets(targets: RequestedTarget[]): Target[] {
  if (targets.length === 0) failField('targets', 'must have at least one target')
  if (targets.length > MAX_TARGETS) failLimit('targets', MAX_TARGETS, 'targets')
  const parsed = targets.map(parseTarget)
  const seen = new Set<string>()
  for (const [index, { name }] of parsed.entries()) {
    if (seen.has(name)) failField(`targets[${index}].name`, `must be unique; alias "${name}" is listed twice`)
    seen.add(name)
  }
  return parsed
}

function parseTarget({ name, target, expectedNumber }: RequestedTarget, index: number): Target {
  const field = `targets[${index}]`
  if (expectedNumber < 0)
    failField(`${field}.expected_number`, 'must not be negative; 0 means that the alias does not exist')
  const parsed = { name: parseAliasName(name, `${field}.name`), expected: expectedNumber }
  if (target.case === 'number') return { ...parsed, number: parseNumber(target.value, `${field}.number`) }
  if (target.case === 'remove') {
    if (!target.value) failField(`${field}.remove`, 'must be true')
    return parsed
  }
  failField(field, 'must have number or remove')
}
