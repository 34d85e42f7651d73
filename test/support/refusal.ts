// What a refused caller sees.
import { Code, ConnectError } from '@connectrpc/connect'
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.ts'
import { reasonOf } from '../../services/lib/fault.ts'

export interface Refusal {
  code: keyof typeof Code
  reason: string
  metadata: Record<string, string>
  message: string
  /** The fields of BadRequest. */
  fields: string[]
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
  return { code: Code[error.code] as keyof typeof Code, reason, metadata, message: error.rawMessage, fields }
}
