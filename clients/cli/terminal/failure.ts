// Describes failures: message, hint and exit code.
import { Code, ConnectError } from '@connectrpc/connect'
import { BadRequestSchema, PreconditionFailureSchema } from '#gen/google/rpc/error_details_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { VerifierError } from '../../verifier/verifier-error.ts'
import { CliError, type ExitName } from './cli-error.ts'
import { clean } from './output.ts'

export interface Failure {
  exit: ExitName
  message: string
  hint: string | undefined
  reason: string
  metadata: Record<string, string>
  /** The gate conditions that are not met. */
  unmet?: Unmet[]
}

export interface Unmet {
  gate: string
  expression: string
  /** The explanation of the condition, with the error if it could not be evaluated. */
  sentence: string
}

const EXITS: Partial<Record<Code, ExitName>> = {
  [Code.InvalidArgument]: 'usage',
  [Code.NotFound]: 'notFound',
  [Code.PermissionDenied]: 'denied',
  [Code.Unauthenticated]: 'denied',
  [Code.AlreadyExists]: 'conflict',
  [Code.Aborted]: 'conflict',
  [Code.FailedPrecondition]: 'conflict',
  [Code.Unavailable]: 'unavailable',
  [Code.DeadlineExceeded]: 'unavailable',
  [Code.ResourceExhausted]: 'unavailable',
  [Code.DataLoss]: 'integrity',
}
const REASON_EXITS: Record<string, ExitName> = {
  FILTER_TOO_EXPENSIVE: 'usage',
  DIGEST_MISMATCH: 'integrity',
  SIZE_MISMATCH: 'integrity',
  BLOB_CORRUPT: 'integrity',
  ALIAS_GATED: 'policy',
  GATE_UNMET: 'policy',
  APPROVAL_NOT_ALLOWED: 'denied',
}

type Metadata = Record<string, string>
const HINTS: Record<string, (metadata: Metadata) => string> = {
  TOKEN_INVALID: () => 'Check MODELKEEP_TOKEN, or ask an administrator for a token: modelkeep token create',
  TOKEN_EXPIRED: () => 'Ask an administrator for a new token: modelkeep token create',
  PERMISSION_DENIED: ({ namespace, permission }) =>
    `See your roles with: modelkeep whoami${namespace ? ` (${permission} on ${namespace} is needed)` : ''}`,
  NAMESPACE_NOT_FOUND: ({ namespace }) => `Create it with: modelkeep namespace create ${namespace ?? '<name>'}`,
  MODEL_NOT_FOUND: () => 'List the models with: modelkeep list',
  MODEL_ARCHIVED: ({ model }) => `Restore it with: modelkeep model unarchive ${quote(model)}`,
  MODEL_IN_USE: ({ model }) => `Archive it and remove its aliases first: modelkeep alias list ${quote(model)}`,
  VERSION_NOT_FOUND: ({ version, model }) =>
    `See its versions with: modelkeep list ${quote(version?.split(/[:@]/)[0] ?? model)}`,
  ALIAS_NOT_FOUND: ({ model }) => `See its aliases with: modelkeep alias list ${quote(model)}`,
  ALIAS_GATED: ({ alias = '<alias>', model }) =>
    `Request a promotion with: modelkeep promote ${quote(model)}:<number> ${alias} --reason "…"; in an emergency an administrator can add --break-glass`,
  EVALUATION_NOT_FOUND: () => 'See the evaluations of a version with: modelkeep evaluation list <ref>',
  GATE_NOT_FOUND: ({ gate }) => `See the gates with: modelkeep -n ${gate?.split('/')[0] ?? '<namespace>'} gate list`,
  GATE_EXISTS: ({ gate }) => `Change it with: modelkeep gate update ${gate ?? '<gate>'}`,
  PROMOTION_NOT_FOUND: () => 'See the promotions with: modelkeep promotion list',
  PROMOTION_EXISTS: ({ promotion }) => `See it with: modelkeep promotion show ${promotion}`,
  PROMOTION_CLOSED: ({ promotion }) => `See its outcome with: modelkeep promotion show ${promotion}`,
  APPROVAL_NOT_ALLOWED: hintWhoMay,
  VERSION_IN_USE: ({ aliases, model }) =>
    aliases
      ? `Move or remove its aliases first: modelkeep alias list ${quote(model)}`
      : 'Delete the versions derived from it first.',
  ETAG_MISMATCH: () => 'Somebody else changed it. Check its current state and run the command again.',
  CONFLICT: () => 'Another change was in progress. Run the command again.',
  SEMVER_EXISTS: ({ number }) => `Version ${number} has this semver; choose another.`,
  OVERLOADED: () => 'Wait a moment and run the command again.',
  DEPENDENCY_UNAVAILABLE: () => 'Wait a moment and run the command again; see: modelkeep status',
  LANE_CLOSED: ({ lane }) => `Omit --lane ${lane}; the command then uses the other transfer mode.`,
  DIRECT_LANE_UNAVAILABLE: () => 'Omit --lane direct; the bytes then go through the server.',
  CHECKPOINT_NOT_FOUND: () => 'The audit service signs new entries within seconds if it has a key (AUDIT_KEY).',
  INTERNAL: () => 'See the log of the service for details.',
}

function hintWhoMay({ promotion, because }: Metadata): string {
  if (because === 'NOT_ASKED')
    return `See which approvers its gates require with: modelkeep promotion show ${promotion}`
  if (because === 'VOTED') return `See which approvals are missing with: modelkeep promotion show ${promotion}`
  return (
    'Another person with the role approver on the namespace must decide. Administrators list and grant roles with: ' +
    'modelkeep -n <namespace> role list, and role grant <principal> approver'
  )
}

/** `subject`: the model that hints name if the service does not. */
export function explain(error: unknown, subject?: string): Failure {
  if (error instanceof CliError || error instanceof VerifierError) {
    return { exit: error.exit, message: error.message, hint: error.hint, reason: error.reason, metadata: {} }
  }
  if (!(error instanceof ConnectError)) return explainLocal(error)
  const answer = reasonOf(error)
  if (!answer) return explainUnknown(error)
  const { reason, metadata } = answer
  const unmet = reason === 'GATE_UNMET' ? unmetOf(error) : []
  const exit = REASON_EXITS[reason] ?? EXITS[error.code] ?? 'failed'
  return {
    exit,
    message: unmet.length > 0 ? countUnmet(unmet, metadata) : messageOf(error),
    hint: HINTS[reason]?.({ ...(subject && { model: subject }), ...metadata }),
    reason,
    metadata,
    ...(unmet.length > 0 && { unmet }),
  }
}

function unmetOf(error: ConnectError): Unmet[] {
  const violations = error.findDetails(PreconditionFailureSchema).flatMap((detail) => detail.violations)
  return violations.map(({ type, subject, description }) => ({
    gate: clean(type),
    expression: clean(subject),
    sentence: clean(description),
  }))
}

/** The message has the count only: each condition is printed on its own line. */
function countUnmet({ length }: Unmet[], { alias = 'the alias' }: Metadata): string {
  return length === 1 ? `a condition for ${alias} is not met` : `${length} conditions for ${alias} are not met`
}

function messageOf(error: ConnectError): string {
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations)
  const text = violations.map(({ field, description }) => `${field} ${description}`).join('; ')
  return inOptions(violations.length < 2 ? error.rawMessage : text)
}

/** Replaces the names of request fields by those of arguments and options. */
function inOptions(message: string): string {
  return message
    .replaceAll(/\btargets\[\d+\]\.name\b/g, 'the alias')
    .replaceAll(/\btargets\[\d+\]\.(expected_)?number\b/g, 'the version number')
    .replaceAll(/\brules\.alias_pattern\b/g, '--alias')
    .replaceAll(/\brules\.approvals_required\b/g, '--approvals')
    .replaceAll(/\brules\.approvers\b/g, '--approver')
    .replaceAll(/\brules\.expiry\b/g, '--expiry')
    .replaceAll(/\brules\.conditions\b/g, '--condition')
    .replaceAll(/\bat_time\b/g, '--at')
    .replaceAll(/\border_by\b/g, '--order-by')
    .replaceAll(/\bnew_name\b/g, 'the new name')
    .replace(/^rules must\b/, 'a gate must')
    .replace(/^filter\b/, '--filter')
}

const UNREACHABLE = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'ECONNRESET']

function explainUnknown(error: ConnectError): Failure {
  const cause = error.cause as (NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] }) | undefined
  const failure = cause?.errors?.[0] ?? cause
  if (failure?.code && UNREACHABLE.includes(failure.code)) {
    const message = `Modelkeep server is unreachable (${failure.message})`
    return { exit: 'unavailable', message, hint: 'Start one with: npm start', reason: failure.code, metadata: {} }
  }
  const foreign = explainForeign(error.rawMessage, cause?.code ?? '')
  if (foreign) return { exit: 'unavailable', reason: cause?.code ?? Code[error.code], metadata: {}, ...foreign }
  const exit = EXITS[error.code] ?? 'failed'
  const hint =
    exit === 'unavailable' || error.code === Code.Internal || error.code === Code.Unknown
      ? 'Is it a Modelkeep server? See: modelkeep status'
      : undefined
  return { exit, message: error.rawMessage || Code[error.code], hint, reason: Code[error.code], metadata: {} }
}

const NO_TLS = ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST', 'EPROTO']

/** Describes an answer that does not come from a Modelkeep server over the expected protocol. */
function explainForeign(text: string, code: string): { message: string; hint: string } | undefined {
  if (NO_TLS.includes(code)) {
    const hint = 'Use http:// instead of https://, or see: modelkeep status'
    return { message: 'server does not use TLS', hint }
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code)) {
    const hint = 'Set NODE_EXTRA_CA_CERTS to the certificate of the authority that signed it.'
    return { message: `server certificate is not trusted (${code})`, hint }
  }
  const hint = 'Check --address or MODELKEEP_ADDRESS (https:// where the server has TLS); see: modelkeep status'
  if (code === 'ERR_HTTP2_ERROR' || text.startsWith('unsupported content type')) {
    return { message: 'address is not that of a Modelkeep server', hint }
  }
  if (text.startsWith('http/2 stream closed')) return { message: 'server closed the connection', hint }
  return undefined
}

const FILE_PROBLEMS: Record<string, string> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOSPC: 'disk is full',
  EROFS: 'file system is read-only',
  ENOTDIR: 'a parent of the path is not a directory',
}

function explainLocal(error: unknown): Failure {
  const { code, path, message } = error as NodeJS.ErrnoException
  const problem = code && FILE_PROBLEMS[code]
  const text = problem && path ? `${path}: ${problem}` : (message ?? String(error))
  return { exit: 'failed', message: text, hint: undefined, reason: code ?? 'CLI_FAILED', metadata: {} }
}

function quote(text: string | undefined): string {
  if (!text) return '<model>'
  return /^[\w./@:-]+$/.test(text) ? text : `'${text}'`
}
