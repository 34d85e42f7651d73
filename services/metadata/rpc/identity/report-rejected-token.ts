import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ANONYMOUS } from '#lib/access/caller.ts'
import { methodName } from '#lib/access/method-rules.ts'
import type { Logger } from '#lib/process/log.ts'
import { tryRecordRefusal, type RecordRefusal } from '#lib/server/refusals.ts'
import type { ReportRejectedToken } from '../../store/identity/token-lookup.ts'

const METHOD = methodName(IdentityService.method.authenticateToken)

/** Records an event when a revoked or expired token is used. The use of an unknown token is not recorded: anybody could
 * fill the log by guessing. */
export function rejectedTokenReporter(recordRefusal: RecordRefusal, logger: Logger): ReportRejectedToken {
  return ({ id, principal }, reason, requestId = '') =>
    tryRecordRefusal(
      { recordRefusal, logger },
      {
        type: 'authentication.failed.v1',
        caller: { ...ANONYMOUS, principal, method: 'token', credentialId: id },
        method: METHOD,
        namespace: '',
        requestId,
        reason,
        details: { reason },
      },
    )
}
