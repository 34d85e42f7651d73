// Compares the response to a hostile request with the expected verdict.
import { Code, type ConnectError } from '@connectrpc/connect'
import { BadRequestSchema, ErrorInfoSchema } from '../../../gen/google/rpc/error_details_pb.ts'
import type { Mutant } from './mutants.ts'

const MAX_MESSAGE_BYTES = 1024
/** Words that would reveal the database, the store, Node or source paths. */
const INTERNAL =
  /node_modules|\.ts\b|file:\/\/|\bat .*:\d+|\bselect\b.*\bfrom\b|\binsert into\b|\brelation "|constraint|syntax error|SQLSTATE|ECONN|invalid byte sequence|undefined|\[object/i

/** Returns the problem with a response; undefined if there is none. */
export function faultOf({ path, verdict, text }: Mutant, error: ConnectError | undefined): string | undefined {
  if (!error) return verdict === 'allowed' ? undefined : `was accepted, not ${verdict}`
  const { reason } = error.findDetails(ErrorInfoSchema)[0] ?? {}
  const said = `${Code[error.code]} ${reason}: ${error.rawMessage}`.slice(0, 300)
  const bare = text ? error.rawMessage.replaceAll(text, '') : error.rawMessage
  if (INTERNAL.test(bare)) return `reveals internals: ${said}`
  if (Buffer.byteLength(error.rawMessage) > MAX_MESSAGE_BYTES) return `says too much: ${said}`
  if (verdict === 'unreadable') return isUnreadable(error) ? undefined : `${said}, but cannot be read`
  const [, field = path] = /^refused(?: as (.*))?$/.exec(verdict) ?? [undefined, '']
  if (field === '') return reason === verdict ? undefined : `${said}, not ${verdict}`
  const [violation, ...more] = error.findDetails(BadRequestSchema)[0]?.fieldViolations ?? []
  if (error.code !== Code.InvalidArgument || !violation) return `${said}, not refused for its field`
  if (!['FIELD_INVALID', 'LIMIT_EXCEEDED'].includes(reason ?? '')) return `${said}, which is no reason of bad input`
  if (violation.description === '' || more.length > 0) return `${said}, with other violations`
  return violation.field === field ? undefined : `${said}, which names ${violation.field}`
}

/** Whether the codec rejected the request, without a reason. */
export function isUnreadable(error: ConnectError | undefined): boolean {
  return error?.code === Code.InvalidArgument && error.findDetails(ErrorInfoSchema).length === 0
}
