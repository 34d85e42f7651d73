// The rules of ManifestFile.path: checked before a push, and again before a pull writes to the disk.
import { PathTree, type PathConflict } from '#lib/values/path-tree.ts'

const MAX_PATH_BYTES = 1024
const MAX_SEGMENT_BYTES = 255
const MAX_SEGMENTS = 32
const CONTROL = /[\p{Cc}\u2028\u2029]/u
/** Characters that change the direction of text, and can disguise a name. */
const BIDI_CONTROL = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
const FORBIDDEN = /[<>:"|?*\\]/
/** Reserved by Windows with any extension. */
const RESERVED = /^(con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³]) *(\.|$)/i

/** Returns the problem of a path as a predicate, such as "is empty"; undefined for a valid path. */
export function findPathProblem(path: string): string | undefined {
  if (path === '') return 'is empty'
  // The length comes first, because it takes quadratic time to normalize a text of many combining characters.
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`
  if (!path.isWellFormed() || path !== path.normalize('NFC')) return 'is not Unicode NFC'
  for (const segment of path.split('/')) {
    if (segment === '') return 'has an empty segment'
    if (segment === '.' || segment === '..') return `has a "${segment}" segment`
    if (CONTROL.test(segment) || BIDI_CONTROL.test(segment)) return 'has a control character'
    if (FORBIDDEN.test(segment)) return 'has one of the characters <>:"|?*\\'
    if (RESERVED.test(segment)) return `has the reserved name "${segment}"`
    if (/[. ]$/.test(segment)) return 'has a segment that ends in a dot or space'
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) return `has a segment longer than ${MAX_SEGMENT_BYTES} bytes`
  }
  return undefined
}

/** Returns the first problem of a list: an invalid path, two paths that differ in case only, or a file that is also a
 * directory. */
export function findListProblem(paths: string[]): string | undefined {
  const tree = new PathTree()
  for (const path of paths) {
    const problem = findPathProblem(path)
    if (problem) return `path "${path}" ${problem}`
    const conflict = tree.add(path)
    if (conflict) return describeConflict(path, conflict.kind, paths[conflict.index]!)
  }
  return undefined
}

function describeConflict(path: string, kind: PathConflict['kind'], other: string): string {
  if (kind === 'same') return `paths "${other}" and "${path}" are the same when case is ignored`
  return `path "${kind === 'below' ? other : path}" is both a file and a directory`
}

/** Returns the problem of a path that only a new version must not have: older versions may have deeper paths, and are pulled. */
export function findDepthProblem(path: string): string | undefined {
  return path.split('/').length > MAX_SEGMENTS ? `has more than ${MAX_SEGMENTS} segments` : undefined
}
