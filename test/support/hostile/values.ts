// Hostile values by kind of field, with the expected verdict of each kind of rule.

/** `allowed`; `refused`, by the field's name, or `refused as` another; `unreadable`, by the codec; or the reason of
 * another refusal. */
export type Verdict = string

export interface TextRule {
  judge: (text: string) => Verdict
  /** Whether allowed texts are stored or recorded unchanged. */
  kept: boolean
  /** The verdict of the empty text, if it differs. */
  empty?: Verdict
  /** Values in addition to those for every text. */
  more: Record<string, string>
}

/** A placeholder that is replaced by bytes that are not UTF-8 after the message is encoded. */
export const NO_UTF8 = 'MARKNOUTF8MARK'

export const TEXTS: Record<string, string> = {
  nothing: '',
  'a very long word': 'x'.repeat(70_000),
  NUL: 'a\0b',
  'half a surrogate pair': 'a\ud800',
  'what is no UTF-8': NO_UTF8,
  'two lines': 'a\nb',
  'a change of direction': 'a\u202eb',
  'a noncharacter': '\uffff😀',
  'a blank': ' ',
  'a star': '*',
  'a path': '../../etc/passwd',
  SQL: `'; drop table metadata.model; --`,
  HTML: '<script>alert(1)</script>',
  'a slow regular expression': '(a+)+$',
  'many parentheses': '('.repeat(28),
  'a lookup': '${jndi:ldap://x}',
  wildcards: '%_\\*?$1',
  quotes: `"'`,
  'a list of names': 'constructor,__proto__',
}

const isUnicode = (value: string): boolean => value.isWellFormed() && !value.includes('\0')
// oxlint-disable-next-line no-control-regex
const isLine = (value: string): boolean => isUnicode(value) && !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(value)

function byTest(test: (value: string) => boolean, kept: boolean, more: Record<string, string> = {}): TextRule {
  return { judge: (value) => (test(value) ? 'allowed' : 'refused'), kept, more }
}

/** Any text of at most `maxBytes` bytes. */
export function text(maxBytes: number): TextRule {
  const edge = { 'one byte too many': 'x'.repeat(maxBytes + 1), 'all the bytes there may be': 'x'.repeat(maxBytes) }
  return byTest((value) => isUnicode(value) && Buffer.byteLength(value) <= maxBytes, true, edge)
}

/** One line of at most `maxCharacters` characters. */
export function line(maxCharacters: number): TextRule {
  const edge = {
    'one character too many': '😀'.repeat(maxCharacters + 1),
    'all the characters there may be': 'x'.repeat(maxCharacters),
  }
  return byTest((value) => isLine(value) && Array.from(value).length <= maxCharacters, true, edge)
}

export function required(rule: TextRule): TextRule {
  return { ...rule, judge: (value) => (value === '' ? 'refused' : rule.judge(value)) }
}

/** The reason for a decision, which must not be empty or blank. */
export function reason(): TextRule {
  const rule = text(2048)
  return { ...rule, judge: (value) => (value.trim() === '' ? 'refused' : rule.judge(value)) }
}

/** Texts that match the pattern get `verdict`. */
export function matching(pattern: RegExp, verdict: Verdict, more: Record<string, string> = {}): TextRule {
  return { judge: (value) => (pattern.test(value) ? verdict : 'refused'), kept: false, more }
}

/** The id of an event that the log already has is rejected, whatever else changes. */
export function altered(rule: TextRule): TextRule {
  return { ...rule, judge: (value) => rule.judge(value).replace('allowed', 'EVENT_ALTERED'), kept: false }
}

export function orEmpty(rule: TextRule): TextRule {
  return { ...rule, judge: (value) => (value === '' ? 'allowed' : rule.judge(value)) }
}

/** Every text gets the same verdict. */
export function always(verdict: Verdict): TextRule {
  return { judge: () => verdict, kept: false, more: {} }
}

const ID_NOWHERE = 'ffffffff-ffff-7fff-bfff-ffffffffffff'
const DIGEST_NOWHERE = `sha256:${'0'.repeat(64)}`

/** A name that no test uses. */
function nowhere(verdict: Verdict): Record<string, string> {
  return verdict === 'allowed' ? {} : { 'a name that is nowhere': 'nowhere' }
}

/** `verdict` is for a name that does not exist. */
export function uuid(verdict: Verdict): TextRule {
  const more = {
    'an id in braces': `{${ID_NOWHERE}}`,
    'an id and more': `${ID_NOWHERE}
`,
    ...(verdict !== 'allowed' && { 'an id that is nowhere': ID_NOWHERE }),
  }
  return matching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, verdict, more)
}

export function digest(verdict: Verdict): TextRule {
  const more = {
    'a digest that is nowhere': DIGEST_NOWHERE,
    'a digest in upper case': `sha256:${'A'.repeat(64)}`,
    'a digest of another kind': `sha512:${'0'.repeat(128)}`,
    'a digest and more': `${DIGEST_NOWHERE}\n`,
  }
  return matching(/^sha256:[0-9a-f]{64}$/, verdict, more)
}

export function namespace(verdict: Verdict): TextRule {
  const more = {
    ...nowhere(verdict),
    'upper case': 'Default',
    'a name and more': 'nowhere\n',
    '64 characters': 'x'.repeat(64),
  }
  return matching(/^[a-z0-9][a-z0-9-]{0,62}$/, verdict, more)
}

/** A namespace, or `*` for all. */
export function scope(verdict: Verdict): TextRule {
  const rule = namespace(verdict)
  return { ...rule, judge: (value) => (value === '*' ? 'allowed' : rule.judge(value)) }
}

export function modelName(verdict: Verdict): TextRule {
  const more = {
    ...nowhere(verdict),
    'a name and more': 'nowhere\n',
    '129 characters': 'x'.repeat(129),
  }
  return matching(/^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,126}[A-Za-z0-9])?$/, verdict, more)
}

export function aliasName(verdict: Verdict): TextRule {
  const more = {
    ...nowhere(verdict),
    'a number': '7',
    'v and a number': 'v7',
    '129 characters': 'x'.repeat(129),
  }
  return matching(/^(?!v?\d+$)[A-Za-z0-9][\w.-]{0,127}$/, verdict, more)
}

export function principal(verdict: Verdict): TextRule {
  const more = { 'somebody unknown': 'nobody', 'upper case': 'Admin', '129 characters': 'x'.repeat(129) }
  return matching(/^[a-z0-9][a-z0-9._@-]{0,127}$/, verdict, more)
}

export type NumberRule = [value: number | bigint, verdict: Verdict][]

export const INT_MIN = -2_147_483_648
export const INT_MAX = 2_147_483_647
export const LONG_MIN = -9_223_372_036_854_775_808n
export const LONG_MAX = 9_223_372_036_854_775_807n

/** A number from 0; `verdict` is for the largest. */
export function count(verdict: Verdict): NumberRule {
  return [
    [-1, 'refused'],
    [INT_MIN, 'refused'],
    [INT_MAX, verdict],
  ]
}

/** A number from 1. */
export function ordinal(verdict: Verdict): NumberRule {
  return [[0, 'refused'], ...count(verdict)]
}

/** A 64-bit number from 0. */
export function size(safe: Verdict, largest: Verdict = 'refused'): NumberRule {
  return [
    [-1n, 'refused'],
    [LONG_MIN, 'refused'],
    [BigInt(Number.MAX_SAFE_INTEGER), safe],
    [LONG_MAX, largest],
  ]
}
