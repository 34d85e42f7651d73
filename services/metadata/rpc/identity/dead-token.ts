// A token that was valid once and is shown again is told. One that nobody ever had is not: whoever guesses would write events.
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ANONYMOUS } from '#lib/access/caller.ts'
import { methodName } from '#lib/access/method-rules.ts'
import type { Logger } from '#lib/process/log.ts'
import { tryRecordRefusal, type RecordRefusal } from '#lib/server/refusals.ts'
import type { TellDeadToken } from '../../store/identity/identity.ts'

const METHOD = methodName(IdentityService.method.authenticateToken)

export function deadTokenTeller(recordRefusal: RecordRefusal, logger: Logger): TellDeadToken {
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
