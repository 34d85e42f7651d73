// Conditions of gates in CEL. They are checked when a gate is written and evaluated against a candidate, in a thread with a
// budget (`conditions/`).
import { celEnv, isCelError, parse, plan, type CelInput } from '@bufbuild/cel'
import { failField, failLimit } from '#lib/errors/errors.ts'
import { parseText } from '../text.ts'

const MAX_EXPRESSION_BYTES = 2048
const MAX_NODES = 500
const MAX_ERROR_CHARACTERS = 255

/** Names of the variables of an expression. The proto documents them at `Condition.expression`. */
export const VARIABLES = [
  'version',
  'current',
  'model',
  'artifact',
  'evaluations',
  'latest',
  'alias',
  'requester',
] as const
export type VariableValues = Record<(typeof VARIABLES)[number], CelInput>

const VERSION_FIELDS = [
  'id',
  'number',
  'semver',
  'digest',
  'creator',
  'create_time',
  'license',
  'labels',
  'parameters',
  'metrics',
  'metrics_on',
  'datasets',
  'source',
  'aliases',
]
/** Fields of the variables that have a fixed set of fields. */
export const FIELDS = new Map([
  ['version', VERSION_FIELDS],
  ['current', VERSION_FIELDS],
  ['model', ['id', 'namespace', 'name', 'owner', 'labels']],
  ['artifact', ['digest', 'size_bytes', 'file_count']],
])

const TYPES = ['bool', 'bytes', 'double', 'int', 'list', 'map', 'null_type', 'string', 'type', 'uint']
const ENVIRONMENT = celEnv()

export type Outcome = { outcome: 'TRUE' | 'FALSE'; error: '' } | { outcome: 'ERROR'; error: string }

export function checkExpression(expression: string, field: string): void {
  if (expression === '') failField(field, 'is required')
  parseText(expression, field, MAX_EXPRESSION_BYTES)
  const checker = new ExpressionChecker(field)
  checker.check(parseExpression(expression, field), { names: new Set([...VARIABLES, ...TYPES]), insideMacro: false })
}

export function evaluate(expression: string, variables: VariableValues, environment = ENVIRONMENT): Outcome {
  try {
    const result = plan(environment, parse(expression).expr)(variables)
    if (isCelError(result)) return errorOutcome(result.message + explainMissingCurrent(expression, variables))
    if (typeof result !== 'boolean') return errorOutcome('the result is not a boolean')
    return { outcome: result ? 'TRUE' : 'FALSE', error: '' }
  } catch (error) {
    return errorOutcome((error as Error).message)
  }
}

/** Explains the most frequent error: the alias has no current version to compare with. */
function explainMissingCurrent(expression: string, { current }: VariableValues): string {
  return current === null && expression.includes('current.') ? '; current is null because the alias does not exist' : ''
}

function errorOutcome(message: string): Outcome {
  return { outcome: 'ERROR', error: message.slice(0, MAX_ERROR_CHARACTERS).toWellFormed() }
}

type Expr = ReturnType<typeof parse>['expr']

function parseExpression(expression: string, field: string): Expr {
  try {
    return parse(expression).expr
  } catch (error) {
    const why =
      error instanceof RangeError ? 'expression is nested too deeply' : (error as Error).message.replace('<input>:', '')
    failField(field, `must be a valid CEL expression: ${why}`)
  }
}

interface Scope {
  /** Names that an expression may use here. */
  names: ReadonlySet<string>
  /** Whether the expression is inside a macro. */
  insideMacro: boolean
}

/** Walks the syntax tree of an expression, and fails at the first construct that is not allowed. */
class ExpressionChecker {
  readonly #field: string
  #nodes = 0

  constructor(field: string) {
    this.#field = field
  }

  check(expr: Expr | undefined, scope: Scope): void {
    if (!expr) return
    if ((this.#nodes += 1) > MAX_NODES) failLimit(this.#field, MAX_NODES, 'parts')
    const { exprKind: kind } = expr
    switch (kind.case) {
      case 'identExpr':
        return this.#checkName(kind.value.name, scope)
      case 'selectExpr':
        this.#checkField(kind.value.operand, kind.value.field)
        return this.check(kind.value.operand, scope)
      case 'callExpr':
        this.#checkFunction(kind.value.function)
        return this.#checkAll([kind.value.target, ...kind.value.args], scope)
      case 'listExpr':
        return this.#checkAll(kind.value.elements, scope)
      case 'structExpr':
        if (kind.value.messageName !== '') failField(this.#field, 'must not construct messages')
        for (const { keyKind, value } of kind.value.entries) {
          if (keyKind.case === 'mapKey') this.check(keyKind.value, scope)
          this.check(value, scope)
        }
        return undefined
      case 'comprehensionExpr': {
        if (scope.insideMacro) failField(this.#field, 'must not nest macros')
        const { iterVar, iterVar2, accuVar, iterRange, accuInit, loopCondition, loopStep, result } = kind.value
        this.#checkAll([iterRange, accuInit], scope)
        const names = new Set([...scope.names, iterVar, iterVar2, accuVar])
        return this.#checkAll([loopCondition, loopStep, result], { names, insideMacro: true })
      }
    }
  }

  #checkAll(exprs: (Expr | undefined)[], scope: Scope): void {
    for (const expr of exprs) this.check(expr, scope)
  }

  #checkName(name: string, { names }: Scope): void {
    if (names.has(name)) return
    failField(this.#field, `must not use the unknown name "${name}"; known names: ${VARIABLES.join(', ')}`)
  }

  #checkField(operand: Expr | undefined, field: string): void {
    const name = operand?.exprKind.case === 'identExpr' ? operand.exprKind.value.name : ''
    const fields = FIELDS.get(name)
    if (!fields || fields.includes(field)) return
    failField(this.#field, `must not use the unknown field "${name}.${field}"; known fields: ${fields.join(', ')}`)
  }

  #checkFunction(name: string): void {
    // Operators such as `_==_` and expanded macros have names with other characters.
    if (/[^A-Za-z0-9]/.test(name) || ENVIRONMENT.funcs.find(name)) return
    failField(this.#field, `must not call "${name}", which is not a CEL function`)
  }
}
