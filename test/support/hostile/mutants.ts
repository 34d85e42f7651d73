// Derives from a valid request all requests with one hostile field, each with the expected verdict.
import { ScalarType, type DescField, type DescMessage, type Message } from '@bufbuild/protobuf'
import { reflect, type ReflectList, type ReflectMap, type ReflectMessage } from '@bufbuild/protobuf/reflect'
import { ABSENT_RULES, BYTES_RULES, FREE_ENUMS, LIST_RULES, NUMBER_RULES, SWITCH_RULES } from './rules.ts'
import { TEXT_RULES } from './text-rules.ts'
import { NO_UTF8, TEXTS, type TextRule, type Verdict } from './values.ts'
import { WELL_KNOWN } from './well-known.ts'

export interface Mutant {
  /** The field path in errors, for example `facts.metrics[0].name`. */
  path: string
  what: string
  verdict: Verdict
  /** The protocol to send it with. */
  via: 'grpc' | 'json'
  /** Makes a copy of the valid request hostile. */
  apply: (request: Message) => void
  /** The hostile text itself, which an error may repeat. */
  text?: string
  /** The text that must be stored or recorded unchanged. */
  kept?: string
}

/** Finds the message with the field in the request. */
type Locate = (root: ReflectMessage) => ReflectMessage

interface Place {
  at: Locate
  prefix: string
}

export function mutantsOf(desc: DescMessage, request: Message): Mutant[] {
  return ofMessage(reflect(desc, request, false), { at: (root) => root, prefix: '' }).map((mutant) => ({
    ...mutant,
    apply: (copy) => mutant.set(reflect(desc, copy, false)),
  }))
}

interface Found extends Omit<Mutant, 'apply'> {
  set: (root: ReflectMessage) => void
}

function ofMessage(view: ReflectMessage, place: Place): Found[] {
  const fields = view.fields.flatMap((field) => ofField(view, field, place))
  const oneofs = view.oneofs.map(({ name, fields: [first, ...more] }): Found => ({
    path: place.prefix === '' ? name : place.prefix.slice(0, -1),
    what: 'with none of its choices',
    verdict: ABSENT_RULES[name] ?? 'refused',
    via: 'grpc',
    set: (root) => [first!, ...more].forEach((field) => place.at(root).clear(field)),
  }))
  return [...fields, ...oneofs]
}

function ofField(view: ReflectMessage, field: DescField, { at, prefix }: Place): Found[] {
  const path = prefix + field.name
  const set = (value: unknown) => (root: ReflectMessage) => at(root).set(field, value)
  switch (field.fieldKind) {
    case 'scalar':
      return attemptsAt(field, path, set)
    case 'enum':
      return attemptsAt(field, path, set)
    case 'message':
      return ofSub(view, field, { at, prefix })
    case 'list':
      return ofList(view.get(field), field, { at, prefix })
    case 'map':
      return ofMap(field, { at, prefix })
  }
}

type Setter = (value: unknown) => (root: ReflectMessage) => void

function attemptsAt(field: DescField, path: string, set: Setter, part = ''): Found[] {
  if (field.enum) return numbersAt(field, path, set)
  switch (field.scalar) {
    case ScalarType.STRING:
      return textsAt(ruleOf(TEXT_RULES, field, part), path, set)
    case ScalarType.BYTES:
      return ruleOf(BYTES_RULES, field).map(([length, verdict]) => ({
        path,
        verdict,
        via: 'grpc' as const,
        what: `of ${length} bytes`,
        set: set(new Uint8Array(length)),
      }))
    case ScalarType.BOOL: {
      const verdict = SWITCH_RULES[nameOf(field)]
      return verdict ? [{ path, verdict, via: 'grpc', what: 'false', set: set(false) }] : []
    }
    default:
      return numbersAt(field, path, set)
  }
}

function numbersAt(field: DescField, path: string, set: Setter): Found[] {
  const enums: [number, Verdict][] = [
    [99, 'refused'],
    [-1, 'refused'],
    [0, FREE_ENUMS.includes(nameOf(field)) ? 'allowed' : 'refused'],
  ]
  return (field.enum ? enums : ruleOf(NUMBER_RULES, field)).map(([value, verdict]) => ({
    path,
    verdict,
    via: 'grpc' as const,
    what: `= ${value}`,
    set: set(value),
  }))
}

let marks = 0
export function textsAt(rule: TextRule, path: string, set: Setter): Found[] {
  return Object.entries({ ...TEXTS, ...rule.more }).map(([what, text]): Found => {
    if (text === NO_UTF8) return { path, what, verdict: 'unreadable', via: 'grpc', set: set(text) }
    if (!text.isWellFormed()) return { path, what, verdict: 'unreadable', via: 'json', set: set(text) }
    if (text === '' && rule.empty) return { path, what, verdict: rule.empty, via: 'grpc', set: set(text) }
    // A counter makes each stored text unique, so that the test can find it.
    const marked = `${text} ${(marks += 1)}`
    const isMarked = rule.kept && text !== '' && rule.judge(marked) === 'allowed'
    const value = isMarked ? marked : text
    const attempt = { path, what, verdict: rule.judge(value), text: value, set: set(value) }
    return { ...attempt, via: 'grpc', ...(isMarked && { kept: value }) }
  })
}

function ofSub(view: ReflectMessage, field: DescField & { fieldKind: 'message' }, { at, prefix }: Place): Found[] {
  const path = prefix + field.name
  const verdict = ABSENT_RULES[nameOf(field)] ?? ABSENT_RULES[field.name] ?? 'refused'
  const set = (root: ReflectMessage): void => at(root).clear(field)
  const absent: Found[] = field.oneof ? [] : [{ path, what: 'absent', verdict, via: 'grpc', set }]
  const below = (root: ReflectMessage): ReflectMessage => at(root).get(field)
  const wellKnown = WELL_KNOWN[field.message.typeName]
  if (wellKnown) {
    const attempts = wellKnown(nameOf(field)).map(({ value, ...attempt }) => ({
      path,
      via: 'grpc' as const,
      ...attempt,
      set: (root: ReflectMessage) => at(root).set(field, reflect(field.message, value, false)),
    }))
    return [...absent, ...attempts]
  }
  if (!view.isSet(field)) return absent
  return [...absent, ...ofMessage(view.get(field), { at: below, prefix: `${path}.` })]
}

function ofList(list: ReflectList, field: DescField & { fieldKind: 'list' }, { at, prefix }: Place): Found[] {
  const path = prefix + field.name
  const { max, empty } = ruleOf(LIST_RULES, field)
  const here = (root: ReflectMessage): ReflectList => at(root).get(field)
  const none: Found = { path, what: 'empty', verdict: empty, via: 'grpc', set: (root) => here(root).clear() }
  if (list.size === 0) throw new Error(`the valid request has nothing in ${path}`)
  const fill = (root: ReflectMessage): void => {
    for (const first = here(root).get(0); here(root).size <= max!;) here(root).add(first)
  }
  const many: Found[] = max ? [{ path, what: 'with too many items', verdict: 'refused', via: 'grpc', set: fill }] : []
  const item = `${path}[0]`
  if (field.listKind !== 'message') {
    const set: Setter = (value) => (root) => here(root).set(0, value)
    return [none, ...many, ...attemptsAt(field, field.name === 'paths' ? prefix.slice(0, -1) : item, set)]
  }
  const below = (root: ReflectMessage): ReflectMessage => here(root).get(0) as ReflectMessage
  return [none, ...many, ...ofMessage(list.get(0) as ReflectMessage, { at: below, prefix: `${item}.` })]
}

function ofMap(field: DescField & { fieldKind: 'map' }, { at, prefix }: Place): Found[] {
  const path = prefix + field.name
  const { max } = ruleOf(LIST_RULES, field)
  const here = (root: ReflectMessage): ReflectMap => at(root).get(field)
  const fill = (root: ReflectMessage): void => {
    for (let index = 0; index <= max!; index += 1) here(root).set(`key ${index}`, '')
  }
  const many: Found[] = [{ path, what: 'with too many entries', verdict: 'refused', via: 'grpc', set: fill }]
  const keys = textsAt(ruleOf(TEXT_RULES, field, '.key'), path, (key) => (root) => here(root).set(key, 'x'))
  const value: Setter = (text) => (root) => here(root).set('team', text)
  return [...many, ...keys, ...textsAt(ruleOf(TEXT_RULES, field, '.value'), `${path}["team"]`, value)]
}

function nameOf({ parent, name }: DescField): string {
  return `${parent.name}.${name}`
}

/** Throws for a field without a rule, so that no field can be forgotten. */
function ruleOf<T>(rules: Record<string, T>, field: DescField, part = ''): T {
  const rule = rules[nameOf(field) + part] ?? rules[field.name + part]
  if (rule === undefined) throw new Error(`no rule is written down for ${nameOf(field)}${part}`)
  return rule
}
