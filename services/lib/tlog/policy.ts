// Policies that say which logs and witnesses are trusted: c2sp.org/tlog-policy. Pure; services and clients share it.
import { findCosignature } from './cosignature.ts'
import { findVerifier, KEY_TYPE, type Verifier } from './note.ts'

export interface PolicyWitness {
  /** Name within the policy. */
  name: string
  cosigner: Verifier
  /** URL of the witness, without a slash at the end. */
  url: string | undefined
}

export interface Policy {
  logs: Verifier[]
  witnesses: PolicyWitness[]
  /** Whether cosignatures of these witnesses, by their names in the policy, form a quorum. */
  isQuorum: (cosigned: ReadonlySet<string>) => boolean
}

/** A problem of a policy; the message names its line. */
export class PolicyError extends Error {
  override name = 'PolicyError'
}

const MAX_LINES = 1000
type Rule = (cosigned: ReadonlySet<string>) => boolean

interface Draft {
  logs: Verifier[]
  witnesses: PolicyWitness[]
  /** Rules by the names of witnesses and groups. */
  rules: Map<string, Rule>
  /** Names of witnesses and groups that are members of a group. */
  taken: Set<string>
  /** Public keys of earlier lines. */
  keys: Set<string>
  quorum: Rule | undefined
}

/** Throws a PolicyError. */
export function parsePolicy(text: string): Policy {
  const lines = text.split('\n')
  if (lines.length > MAX_LINES) throw new PolicyError(`the policy has more than ${MAX_LINES} lines`)
  const draft: Draft = {
    logs: [],
    witnesses: [],
    rules: new Map(),
    taken: new Set(),
    keys: new Set(),
    quorum: undefined,
  }
  for (const [at, line] of lines.entries()) {
    const problem = addLine(draft, line)
    if (problem !== undefined) throw new PolicyError(`line ${at + 1}: ${problem}`)
  }
  const { logs, witnesses, quorum } = draft
  if (!quorum) throw new PolicyError('the policy has no line "quorum NAME"')
  return { logs, witnesses, isQuorum: quorum }
}

/** Adds a line to the draft; returns its problem, or undefined. */
function addLine(draft: Draft, line: string): string | undefined {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) return 'the line has a control character'
  const trimmed = line.replaceAll(/^[ \t]+|[ \t]+$/g, '')
  if (trimmed === '' || trimmed.startsWith('#')) return undefined
  const [keyword, ...words] = trimmed.split(/[ \t]+/)
  if (keyword === 'log') return addLog(draft, words)
  if (keyword === 'witness') return addWitness(draft, words)
  if (keyword === 'group') return addGroup(draft, words)
  if (keyword === 'quorum') return setQuorum(draft, words)
  return `unknown keyword "${keyword}"; use log, witness, group or quorum`
}

function addLog(draft: Draft, [vkey = '', ...rest]: string[]): string | undefined {
  const log = findVerifier(vkey)
  if (!log || rest.length > 1) return 'the line must be "log VKEY [URL]", with an Ed25519 log key'
  draft.logs.push(log)
  return addKey(draft, log)
}

function addWitness(draft: Draft, [name = '', vkey = '', url, ...rest]: string[]): string | undefined {
  const cosigner = findVerifier(vkey, KEY_TYPE.cosignature)
  if (!cosigner || rest.length > 0) {
    return 'the line must be "witness NAME VKEY [URL]", with an Ed25519 witness key (key type 4)'
  }
  if (url !== undefined && !(URL.canParse(url) && /^https?:$/.test(new URL(url).protocol))) {
    return `URL "${url}" is invalid; use http:// or https://`
  }
  draft.witnesses.push({ name, cosigner, url: url?.replace(/\/+$/, '') })
  return addKey(draft, cosigner) ?? addName(draft, name, (cosigned) => cosigned.has(name))
}

function addGroup(draft: Draft, [name = '', threshold = '', ...members]: string[]): string | undefined {
  if (members.length === 0) return 'the line must be "group NAME all|any|K MEMBER…"'
  const needed = threshold === 'all' ? members.length : threshold === 'any' ? 1 : Number(threshold)
  if (!/^(all|any|[1-9][0-9]*)$/.test(threshold) || needed > members.length) {
    return `threshold "${threshold}" must be all, any, or a number from 1 to ${members.length}, the number of members`
  }
  for (const member of members) {
    if (!draft.rules.has(member)) return `member "${member}" is not a witness or group of an earlier line`
    if (draft.taken.size === draft.taken.add(member).size) return `member "${member}" is already in a group`
  }
  const rules = members.map((member) => draft.rules.get(member)!)
  return addName(draft, name, (cosigned) => rules.filter((rule) => rule(cosigned)).length >= needed)
}

function setQuorum(draft: Draft, [name = '', ...rest]: string[]): string | undefined {
  if (draft.quorum) return 'the quorum is already set'
  draft.quorum = name === 'none' ? () => true : draft.rules.get(name)
  if (!draft.quorum || rest.length > 0)
    return 'the line must be "quorum NAME", with a witness or group of an earlier line, or none'
}

function addName(draft: Draft, name: string, rule: Rule): string | undefined {
  if (name === 'none' || draft.rules.has(name)) return `name "${name}" is already used`
  draft.rules.set(name, rule)
}

function addKey(draft: Draft, { key }: Verifier): string | undefined {
  const raw = key.export({ format: 'der', type: 'spki' }).toString('base64')
  return draft.keys.size === draft.keys.add(raw).size ? 'the key is already used' : undefined
}

export interface PolicyCheck {
  isQuorum: boolean
  /** Time of each witness's cosignature by its name in the policy, in seconds since 1970. */
  times: Map<string, bigint>
  /** Witnesses with an invalid cosignature under their name. */
  forged: string[]
}

/** Finds the witnesses that have cosigned a checkpoint. Does not verify the signatures of logs. */
export function checkPolicy(note: string, { witnesses, isQuorum }: Policy): PolicyCheck {
  const times = new Map<string, bigint>()
  const forged: string[] = []
  for (const { name, cosigner } of witnesses) {
    const found = findCosignature(note, cosigner)
    if (found === 'forged') forged.push(name)
    else if (found !== undefined) times.set(name, found)
  }
  return { isQuorum: forged.length === 0 && isQuorum(new Set(times.keys())), times, forged }
}
