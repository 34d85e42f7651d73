// The commands status and whoami print the services that the command uses, and the principal of its token.
import { ConnectError } from '@connectrpc/connect'
import { HealthCheckResponse_ServingStatus as Serving, Health } from '#gen/health/v1/health_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { WhoAmIResponseSchema, IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { RoleSchema } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { CliError } from '../terminal/cli-error.ts'
import type { Context } from '../context.ts'
import { explain } from '../terminal/failure.ts'
import { facts, jsonOf, table, time, word } from '../terminal/output.ts'
import { unary } from '../connection/registry.ts'

const CHECK_TIMEOUT_MS = 5_000

export async function whoAmI(context: Context): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const answer = await registry.metadata(IdentityService).whoAmI({}, unary(registry))
  if (output.json) return output.document(jsonOf(WhoAmIResponseSchema, answer))
  const roles = answer.roles.map(({ namespace, role }) => `${word(RoleSchema, role)} on ${namespace}`)
  output.write(
    facts([
      ['principal', answer.principal],
      ['roles', roles.join(', ') || 'none'],
      ['token', answer.token ? `${answer.token.id}, until ${time(answer.token.expireTime)}` : ''],
    ]),
  )
}

export async function status(context: Context): Promise<void> {
  const { output } = context
  const { addresses, origin } = context.registry().settings
  const services = await Promise.all([
    check(context, 'metadata', ModelService.typeName),
    check(context, 'artifact', BlobService.typeName),
    check(context, 'audit', LogService.typeName),
  ])
  const client = { version: '0.1.0', node: process.versions.node }
  if (output.json) output.document({ services, origin, client })
  else {
    output.write(
      table(
        ['SERVICE', 'ADDRESS', 'HEALTH'],
        services.map(({ name, address, health }) => [name, address, health]),
      ),
    )
    output.write(
      `\n${facts([
        ['address from', origin],
        ['client', `modelkeep ${client.version}, Node ${client.node}`],
      ])}`,
    )
  }
  const silent = services.filter(({ health }) => health !== 'serving').map(({ name }) => name)
  if (silent.length === 0) return
  const isHere = Object.values(addresses).every((address) => address === addresses.metadata)
  throw new CliError('unavailable', `services not serving: ${silent.join(', ')}`, {
    hint: isHere ? 'Start it with: npm start' : 'Start it with: npm run service -- <name>',
  })
}

async function check(context: Context, name: 'metadata' | 'artifact' | 'audit', service: string) {
  const registry = context.registry()
  const address = registry.settings.addresses[name]
  try {
    const answer = await registry[name](Health).check({ service }, unary(registry, CHECK_TIMEOUT_MS))
    return { name, address, health: answer.status === Serving.SERVING ? 'serving' : 'not serving' }
  } catch (error) {
    return { name, address, health: explain(ConnectError.from(error)).message }
  }
}
