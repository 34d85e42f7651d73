// What a refused caller sees.
import { Code, ConnectError } from '@connectrpc/connect'
import { BadRequestSchema, PreconditionFailureSchema } from '../../gen/google/rpc/error_details_pb.ts'
import { reasonOf } from '../../services/lib/errors/read-error.ts'

export interface Refusal {
  code: keyof typeof Code
  reason: string
  metadata: Record<string, string>
  message: string
  /** The fields of BadRequest. */
  fields: string[]
  /** What had to hold first, and did not. */
  preconditions: { type: string; subject: string; description: string }[]
}

/** The refusal a call ends in; throws where it is answered. */
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
