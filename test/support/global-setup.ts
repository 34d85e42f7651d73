// One PostgreSQL for a test run: the server at TEST_DATABASE_URL, a container, or the embedded server. Every test file gets
// its own database, cloned from a migrated template.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { SERVICE_NAMES } from '../../services/lib/process/settings.ts'
import { migrate } from '../../services/migrate.ts'
import { startPostgres } from '../../services/standalone/postgres.ts'
import { closeSql, runSql, TEMPLATE } from './database.ts'
import { isDockerAvailable } from './docker.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's URL of the database `postgres`. */
    postgresUrl: string
  }
}

/** This server is never killed, so it does not have to wait for the disk. Tests that kill PostgreSQL start their own. */
const SETTINGS = { max_connections: '300', fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, stop } = await findServer()
  await makeTemplate(url).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  project.provide('postgresUrl', url)
  return stop
}

async function makeTemplate(url: string): Promise<void> {
  await runSql(url, `drop database if exists ${TEMPLATE}`)
  await runSql(url, `create database ${TEMPLATE}`)
  await closeSql(url)
  const template = new URL(url)
  template.pathname = TEMPLATE
  for (const name of SERVICE_NAMES) await migrate(name, template.href)
}

async function findServer(): Promise<{ url: string; stop: () => Promise<void> }> {
  const given = process.env['TEST_DATABASE_URL']
  if (given) return { url: given, stop: async () => {} }
  if (await isDockerAvailable()) {
    const { GenericContainer, Wait } = await import('testcontainers')
    const container = await new GenericContainer('postgres:18')
      .withEnvironment({ POSTGRES_PASSWORD: 'test' })
      .withCommand(Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]))
      .withExposedPorts(5432)
      .withWaitStrategy(Wait.forLogMessage(/ready to accept connections/, 2))
      .start()
    const url = `postgresql://postgres:test@${container.getHost()}:${container.getMappedPort(5432)}/postgres`
    return { url, stop: async () => void (await container.stop()) }
  }
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-test-'))
  await chmod(directory, 0o755)
  const server = await startPostgres({ directory: join(directory, 'postgres'), settings: SETTINGS })
  const stop = async () => {
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  }
  return { url: server.url('postgres'), stop }
}
