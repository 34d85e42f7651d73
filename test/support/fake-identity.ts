// The metadata service as its peers see it: a real server that returns the principal and roles of a token.
import { create } from '@bufbuild/protobuf'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import type { ConnectRouter } from '@connectrpc/connect'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { createHash, randomUUID } from 'node:crypto'
import { createServer, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { AuthenticateTokenResponseSchema, IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import type { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { toConnectError } from '#lib/errors/connect-error.ts'

export interface KnownCaller {
  principal: string
  /** Keyed by namespace or `*`. */
  roles: Record<string, Role>
}

export interface FakeIdentity {
  address: string
  /** Keyed by token; a test may change it at any time. */
  callers: Map<string, KnownCaller>
  close(): Promise<void>
}

export async function startFakeIdentity(known: Record<string, KnownCaller> = {}): Promise<FakeIdentity> {
  const callers = new Map(Object.entries(known))
  /** The id of a token, by its SHA-256 in hex. */
  const ids = new Map<string, string>()
  const routes = (router: ConnectRouter): void => {
    router.service(IdentityService, {
      authenticateToken({ tokenSha256 }) {
        const [, caller] = [...callers].find(([token]) => hash(token).equals(tokenSha256)) ?? []
        if (!caller) throw toConnectError(new ModelkeepError('TOKEN_NOT_FOUND', 'token is unknown or revoked'))
        const key = Buffer.from(tokenSha256).toString('hex')
        const id = ids.get(key) ?? randomUUID()
        ids.set(key, id)
        return presentCaller(id, caller)
      },
    })
  }
  const server = createServer(connectNodeAdapter({ routes }))
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    callers,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const session of sessions) session.destroy()
      }),
  }
}

function presentCaller(id: string, { principal, roles }: KnownCaller) {
  const expireTime = timestampFromDate(new Date(Date.now() + 3_600_000))
  return create(AuthenticateTokenResponseSchema, {
    token: { id, principal, expireTime },
    roles: Object.entries(roles).map(([namespace, role]) => ({ principal, namespace, role })),
  })
}

function hash(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
