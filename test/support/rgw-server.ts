// A second real S3 server: the gateway of Ceph with one monitor and one in-memory disk. It needs Debian's packages
// `radosgw`, `ceph-mon` and `ceph-osd`, but no root.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { access, constants, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from '../../services/standalone/postgres.ts'
import type { S3Access } from './minio-server.ts'

const run = promisify(execFile)
const PROGRAMS = ['ceph', 'ceph-mon', 'ceph-osd', 'monmaptool', 'radosgw', 'radosgw-admin']
const KEYS = { region: 'us-east-1', accessKey: 'modelkeep', secretKey: 'modelkeep-test' }
const STEP_MS = 60_000
const MEMORY_BYTES = 3 * 2 ** 30

export interface RgwServer {
  access: S3Access
  stop(): Promise<void>
}

/** The names of required programs that are not installed. */
export async function missingPrograms(): Promise<string[]> {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const missing: string[] = []
  for (const name of PROGRAMS) {
    const found = await Promise.all(folders.map((folder) => isExecutable(join(folder, name))))
    if (!found.includes(true)) missing.push(name)
  }
  return missing
}

export async function startRgw(): Promise<RgwServer> {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-rgw-'))
  const children: ChildProcess[] = []
  const stop = async (): Promise<void> => {
    // The data is in memory, so that the processes can be killed.
    await Promise.all(children.toReversed().map(kill))
    await rm(home, { recursive: true, force: true })
  }
  try {
    return { access: { endpoint: await start(home, children), ...KEYS }, stop }
  } catch (cause) {
    await stop()
    throw new Error(`the Ceph gateway did not start: ${String(cause)}`, { cause })
  }
}

async function start(home: string, children: ChildProcess[]): Promise<string> {
  const [monitor, gateway] = [await freePort(), await freePort()]
  const [cluster, disk] = [randomUUID(), randomUUID()]
  const configuration = join(home, 'ceph.conf')
  await writeFile(configuration, configure(home, cluster, monitor, gateway))
  for (const folder of ['mon', 'osd']) await mkdir(join(home, folder))
  const call = (name: string, ...words: string[]) => run(name, ['-c', configuration, ...words], { timeout: STEP_MS })
  const begin = (name: string, ...words: string[]): void => {
    children.push(spawn(name, ['-c', configuration, '-f', ...words], { stdio: 'ignore' }))
  }
  const map = join(home, 'monmap')
  await run('monmaptool', ['--create', '--fsid', cluster, '--addv', 'a', `[v2:127.0.0.1:${monitor}]`, map])
  await call('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map)
  begin('ceph-mon', '-i', 'a')
  await call('ceph', 'osd', 'new', disk)
  await call('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', disk)
  begin('ceph-osd', '-i', '0')
  const keys = [`--access-key=${KEYS.accessKey}`, `--secret-key=${KEYS.secretKey}`]
  await call('radosgw-admin', 'user', 'create', '--uid=modelkeep', '--display-name=modelkeep', ...keys)
  begin('radosgw', '-n', 'client.admin')
  const endpoint = `http://127.0.0.1:${gateway}`
  await untilItAnswers(endpoint, children.at(-1)!)
  return endpoint
}

/** Without `ms mon client mode`, the gateway requires encryption, which needs keys, and hangs. */
function configure(home: string, cluster: string, monitor: number, gateway: number): string {
  const modes = ['mon client', 'cluster', 'service', 'client'].map((name) => `ms ${name} mode = crc`)
  const keyless = ['cluster', 'service', 'client'].map((name) => `auth ${name} required = none`)
  return `[global]
fsid = ${cluster}
mon host = [v2:127.0.0.1:${monitor}]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
${[...modes, ...keyless].join('\n')}
mon data = ${home}/mon
osd data = ${home}/osd
admin socket =
log file =
mon cluster log file =
paxos propose interval = 0.02
paxos min wait = 0.01
mon allow pool size one = true
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd class load list = *
osd class default list = *
osd objectstore = memstore
memstore device bytes = ${MEMORY_BYTES}
rgw frontends = beast endpoint=127.0.0.1:${gateway}
rgw thread pool size = 64
rgw override bucket index max shards = 1
rgw run sync thread = false
`
}

async function untilItAnswers(endpoint: string, child: ChildProcess): Promise<void> {
  for (let waited = 0; waited < STEP_MS; waited += 100) {
    if (child.exitCode !== null) throw new Error(`radosgw ended with ${child.exitCode}`)
    const answer = await fetch(endpoint).catch(() => undefined)
    if (answer) return
    await sleep(100)
  }
  throw new Error('radosgw did not answer within a minute')
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
