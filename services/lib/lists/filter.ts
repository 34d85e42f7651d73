// Parser of AIP-160 filters. The store defines the fields and their SQL.
import { failField, failLimit } from '../errors/errors.ts'

export type Filter =
  | { kind: 'and' | 'or'; operands: Filter[] }
  | { kind: 'not'; operand: Filter }
  | { kind: 'restriction'; field: string[]; operator: Operator; value: FilterValue }

export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | ':'
export interface FilterValue {
  text: string
  /** Distinguishes `"5"` from `5`. */
  quoted: boolean
}

const MAX_BYTES = 2048
const MAX_DEPTH = 20
const MAX_RESTRICTIONS = 100

type Token = { kind: 'text' | 'quoted' | 'sign'; text: string; at: number }

const TOKEN =
  /\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(<=|>=|!=|=|<|>|:|\(|\)|\.|-(?![\d.]))|([^\s"'()<>=!:.]+))/y

/** Returns undefined for an empty filter. Throws FIELD_INVALID or LIMIT_EXCEEDED. */
export function parseFilter(text: string): Filter | undefined {
  if (Buffer.byteLength(text) > MAX_BYTES) failLimit('filter', MAX_BYTES, 'bytes')
  const tokens = tokenize(text)
  if (tokens.length === 0) return undefined
  const parser = new Parser(tokens)
  return parser.whole()
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  // PostgreSQL cannot store U+0000, and UTF-8 cannot encode half a surrogate pair.
  const unreadable = /\0|\p{Surrogate}/u.exec(text)
  if (unreadable) failField('filter', `has an unexpected character at position ${unreadable.index + 1}`)
  const end = text.trimEnd().length
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex
    const match = TOKEN.exec(text)
    if (!match) failField('filter', `has an unexpected character at position ${from + 1}`)
    const [all, double, single, sign, word] = match
    const at = from + all.length - all.trimStart().length
    const quoted = double ?? single
    if (quoted !== undefined) tokens.push({ kind: 'quoted', text: quoted.replace(/\\(.)/g, '$1'), at })
    else if (sign !== undefined) tokens.push({ kind: 'sign', text: sign, at })
    else tokens.push({ kind: 'text', text: word!, at })
  }
  return tokens
}

class Parser {
  readonly #tokens: Token[]
  #next = 0
  #depth = 0
  #restrictions = 0

  constructor(tokens: Token[]) {
    this.#tokens = tokens
  }

  whole(): Filter {
    const filter = this.#and()
    if (this.#peek()) this.#unexpected()
    return filter
  }

  // AIP-160: OR binds tighter than AND; terms side by side are joined by AND.
  #and(): Filter {
    const operands = [this.#or()]
    for (;;) {
      if (this.#takeWord('AND')) operands.push(this.#or())
      else if (this.#startsTerm()) operands.push(this.#or())
      else return operands.length === 1 ? operands[0]! : { kind: 'and', operands }
    }
  }

  #or(): Filter {
    const operands = [this.#term()]
    while (this.#takeWord('OR')) operands.push(this.#term())
    return operands.length === 1 ? operands[0]! : { kind: 'or', operands }
  }

  #term(): Filter {
    if ((this.#depth += 1) > MAX_DEPTH) failField('filter', `must not nest deeper than ${MAX_DEPTH}`)
    const negated = this.#takeWord('NOT') || this.#takeSign('-')
    const operand = this.#takeSign('(') ? this.#group() : this.#restriction()
    this.#depth -= 1
    return negated ? { kind: 'not', operand } : operand
  }

  #group(): Filter {
    const inner = this.#and()
    if (!this.#takeSign(')')) this.#unexpected('a closing parenthesis')
    return inner
  }

  #restriction(): Filter {
    if ((this.#restrictions += 1) > MAX_RESTRICTIONS) failLimit('filter', MAX_RESTRICTIONS, 'conditions')
    const field = [this.#name()]
    while (this.#takeSign('.')) field.push(this.#name())
    const operator = this.#peek()
    if (operator?.kind !== 'sign' || !['=', '!=', '<', '<=', '>', '>=', ':'].includes(operator.text)) {
      this.#unexpected('one of = != < <= > >= :')
    }
    this.#next += 1
    return { kind: 'restriction', field, operator: operator.text as Operator, value: this.#value() }
  }

  #name(): string {
    const token = this.#peek()
    if (token === undefined || token.kind === 'sign') this.#unexpected('a field')
    this.#next += 1
    return token.text
  }

  #value(): FilterValue {
    const token = this.#peek()
    if (token === undefined || token.kind === 'sign') this.#unexpected('a value')
    this.#next += 1
    let { text } = token
    // Unquoted values may contain the signs of times and versions: 2026-11-23T04:00:00Z, 1.2.3.
    while (token.kind === 'text' && this.#joins()) text += this.#tokens[this.#next++]!.text
    return { text, quoted: token.kind === 'quoted' }
  }

  #joins(): boolean {
    const token = this.#peek()
    const before = this.#tokens[this.#next - 1]!
    const touches = token !== undefined && token.at === before.at + before.text.length
    return (
      touches &&
      token.kind !== 'quoted' &&
      (token.kind === 'text' || token.text === '.' || token.text === ':' || token.text === '-')
    )
  }

  #startsTerm(): boolean {
    const token = this.#peek()
    if (token === undefined) return false
    if (token.kind === 'sign') return token.text === '(' || token.text === '-'
    return !(token.kind === 'text' && ['AND', 'OR'].includes(token.text))
  }

  #takeWord(word: string): boolean {
    const token = this.#peek()
    if (token?.kind !== 'text' || token.text !== word) return false
    this.#next += 1
    return true
  }

  #takeSign(sign: string): boolean {
    const token = this.#peek()
    if (token?.kind !== 'sign' || token.text !== sign) return false
    this.#next += 1
    return true
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next]
  }

  #unexpected(wanted = 'AND, OR or the end of the filter'): never {
    const token = this.#peek()
    const place = token ? `at position ${token.at + 1}, found "${token.text}"` : 'at the end'
    failField('filter', `expects ${wanted} ${place}`)
  }
}
