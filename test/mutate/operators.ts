// The standard one-line faults, found in the syntax tree of a source file.
import { stripTypeScriptTypes } from 'node:module'
import { parseAst } from 'vitest/node'

export interface Change {
  /** The line number, from 1. */
  line: number
  start: number
  end: number
  /** The text from `start` to `end` with the fault. */
  text: string
  says: string
}

interface Node {
  type: string
  start: number
  end: number
}

type Tree = Node & Record<string, unknown>
type Edit = [start: number, end: number, text: string, says: string]

const COUNTERPARTS: Record<string, string> = {
  '&&': '||',
  '||': '&&',
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '+': '-',
  '-': '+',
  '===': '!==',
  '!==': '===',
}

/** Returns at most one fault for each line of a source. */
export function listChanges(source: string): Change[] {
  const edits: Edit[] = []
  visit(parseAst(source, { lang: 'ts' }), source, (node) => edits.push(...editsOf(node, source)))
  return edits
    .filter(([start, end]) => !source.slice(start, end).includes('\n'))
    .map(([start, end, text, says]) => ({ line: lineOf(source, start), start, end, text, says }))
}

export function applyChange(source: string, { start, end, text }: Change): string {
  return source.slice(0, start) + text + source.slice(end)
}

/** Visits every node except log messages, whose words are not tested. */
function visit(value: unknown, source: string, take: (node: Tree) => void): void {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value) && 'type' in value) {
    const node = value as Tree
    if (node.type === 'CallExpression' && isLogging(source.slice(node.start, node.end))) return
    take(node)
  }
  for (const child of Object.values(value)) visit(child, source, take)
}

function editsOf(node: Tree, source: string): Edit[] {
  const textOf = ({ start, end }: Node): string => source.slice(start, end)
  switch (node.type) {
    case 'IfStatement':
    case 'WhileStatement':
    case 'ConditionalExpression': {
      const test = node['test'] as Node
      return [[test.start, test.end, `!(${textOf(test)})`, 'negates a condition']]
    }
    case 'LogicalExpression':
    case 'BinaryExpression':
      return swapOperator(node, source)
    case 'ExpressionStatement':
      return isCall(node['expression'] as Tree, source) ? [[node.start, node.end, ';', 'drops a call']] : []
    case 'ReturnStatement':
      return replaceLiteral(node['argument'] as Tree | null)
    case 'ArrowFunctionExpression':
      return replaceLiteral(node['body'] as Tree)
    case 'AwaitExpression':
      return [[node.start, (node['argument'] as Node).start, '', 'drops an await']]
    case 'UnaryExpression':
      return node['operator'] === '!' ? [[node.start, (node['argument'] as Node).start, '', 'removes a not']] : []
    case 'CallExpression':
      return swapArguments(node, textOf)
    default:
      return []
  }
}

function swapOperator(node: Tree, source: string): Edit[] {
  const [left, right] = [node['left'] as Tree, node['right'] as Tree]
  const operator = node['operator'] as string
  const counterpart = COUNTERPARTS[operator]
  // Strings can be added, but not subtracted.
  const isText = [left, right].some(({ type, value }) => type === 'TemplateLiteral' || typeof value === 'string')
  if (counterpart === undefined || (operator === '+' && isText)) return []
  const start = left.end + source.slice(left.end, right.start).indexOf(operator)
  return [[start, start + operator.length, counterpart, `${operator} becomes ${counterpart}`]]
}

function replaceLiteral(node: Tree | null): Edit[] {
  if (node?.type !== 'Literal') return []
  const { value } = node
  let other: string | undefined
  if (typeof value === 'boolean') other = String(!value)
  if (typeof value === 'number') other = String(value + 1)
  if (typeof value === 'string') other = value === '' ? "'x'" : "''"
  return other === undefined ? [] : [[node.start, node.end, other, 'replaces what is returned']]
}

/** Swaps two adjacent names; other expressions seldom have the same type. */
function swapArguments(node: Tree, textOf: (node: Node) => string): Edit[] {
  const given = node['arguments'] as Node[]
  if (/^Math\.(min|max)$/.test(textOf(node['callee'] as Node))) return []
  return given.slice(1).flatMap((second, at): Edit[] => {
    const first = given[at]!
    if (!isName(first) || !isName(second) || textOf(first) === textOf(second)) return []
    return [[first.start, second.end, `${textOf(second)}, ${textOf(first)}`, 'swaps two arguments']]
  })
}

function isName({ type }: Node): boolean {
  return type === 'Identifier' || type === 'MemberExpression'
}

function isCall(node: Tree, source: string): boolean {
  const text = source.slice(node.start, node.end)
  if (node.type === 'AwaitExpression' || (node.type === 'UnaryExpression' && node['operator'] === 'void')) {
    return isCall(node['argument'] as Tree, source)
  }
  return node.type === 'CallExpression' && !isLogging(text) && !text.startsWith('super(')
}

function isLogging(text: string): boolean {
  return /^([\w.#?!]+\.)?(log|logger|console)\??\.(trace|debug|info|warn|error|fatal|log)\(/.test(text)
}

function lineOf(source: string, at: number): number {
  return source.slice(0, at).split('\n').length
}

/** Whether the syntax of the source is valid. */
export function parses(source: string): boolean {
  try {
    parseAst(source, { lang: 'ts' })
    stripTypeScriptTypes(source)
    return true
  } catch {
    return false
  }
}
