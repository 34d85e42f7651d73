// Errors as the caller of an RPC receives them.
import { Code, ConnectError } from '@connectrpc/connect'
import { BadRequestSchema, PreconditionFailureSchema } from '../../gen/google/rpc/error_details_pb.ts'
import { reasonOf } from '../../services/lib/errors/read-error.ts'

export interface Refusal {
  code: keyof typeof Code
  reason: string
  metadata: Record<string, string>
  message: string
  /** The field paths of BadRequest. */
  fields: string[]
  /** The violations of PreconditionFailure. */
  preconditions: { type: string; subject: string; description: string }[]
}

/** Returns the error of a call; throws if the call succeeds. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => undefined,
    (refused: unknown) => ConnectError.from(refused),
  )
  if (!error) throw new Error('the call was answered')
  const { reason = '', metadata = {} } = reasonOf(error) ?? {}
  const fields = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations.map(({ field }) => field))
  const preconditions = error
    .findDetails(PreconditionFailureSchema)
    .flatMap(({ violations }) => violations.map(({ type, subject, description }) => ({ type, subject, description })))
  const code = Code[error.code] as keyof typeof Code
  return { code, reason, metadata, message: error.rawMessage, fields, preconditions }
}
