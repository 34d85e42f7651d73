// A server without a database: it knows callers by token, and serves the routes of a test.
import { createClient, type Client } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import type { DescService } from '@bufbuild/protobuf'
import { Role } from '../../gen/modelkeep/metadata/v1/identity_pb.ts'
import type { Caller } from '../../services/lib/access/caller.ts'
import { fail } from '../../services/lib/errors/errors.ts'
import { createLogger } from '../../services/lib/process/log.ts'
import type { Refusal } from '../../services/lib/server/refusals.ts'
import type { Serving } from '../../services/lib/server/serve.ts'

/** Callers by token: an administrator of all, members of `default`, an administrator of
 * `elsewhere`, some who are both, one without a role, and the peers. */
export const CALLERS: Record<string, Caller> = {
  mk_admin: person('admin', [['*', Role.ADMIN]]),
  mk_reader: person('reader', [['default', Role.READER]]),
  mk_contributor: person('contributor', [['default', Role.CONTRIBUTOR]]),
  mk_approver: person('approver', [['default', Role.APPROVER]]),
  mk_owner: person('owner', [['default', Role.ADMIN]]),
  mk_elsewhere: person('elsewhere', [['elsewhere', Role.ADMIN]]),
  mk_mixed: person('mixed', [
    ['default', Role.READER],
    ['elsewhere', Role.ADMIN],
  ]),
  mk_mixed_contributor: person('mixed-contributor', [
    ['default', Role.CONTRIBUTOR],
    ['elsewhere', Role.ADMIN],
  ]),
  mk_mixed_approver: person('mixed-approver', [
    ['default', Role.APPROVER],
    ['elsewhere', Role.ADMIN],
  ]),
  mk_nobody: person('nobody', []),
  mks_metadata: peer('metadata'),
  mks_artifact: peer('artifact'),
  mks_audit: peer('audit'),
}

function person(principal: string, roles: [string, Role][]): Caller {
  return {
    principal,
    method: 'token',
    credentialId: '01900000-0000-7000-8000-000000000000',
    service: '',
    roles: new Map(roles),
  }
}

function peer(service: string): Caller {
  return { principal: `service:${service}`, method: 'service', credentialId: '', service, roles: new Map() }
}

export interface StubServing extends Serving {
  refusals: Refusal[]
  logs: string[]
  drain: AbortController
}

export function stubServing(services: DescService[], routes: Serving['routes']): StubServing {
  const refusals: Refusal[] = []
  const logs: string[] = []
  const drain = new AbortController()
  return {
    services,
    routes,
    authenticate: async (token) => {
      if (!Object.hasOwn(CALLERS, token)) fail('TOKEN_INVALID', 'token is unknown or revoked')
      return CALLERS[token]!
    },
    recordRefusal: async (refusal) => void refusals.push(refusal),
    check: async () => true,
    draining: drain.signal,
    drain,
    logger: createLogger('stub', 'info', { write: (line: string) => void logs.push(line) }),
    refusals,
    logs,
  }
}

/** Returns a client over real HTTP/2. */
export function grpcClient<S extends DescService>(service: S, port: number, token = ''): Client<S> {
  const transport = createGrpcTransport({
    baseUrl: `http://127.0.0.1:${port}`,
    interceptors: [
      (next) => (request) => {
        if (token !== '') request.header.set('authorization', `Bearer ${token}`)
        return next(request)
      },
    ],
  })
  return createClient(service, transport)
}
