// The rules of ManifestFile.path: checked before a push, and again before a pull writes to the disk.

const MAX_PATH_BYTES = 1024
const MAX_SEGMENT_BYTES = 255
const CONTROL = /[\p{Cc}\u2028\u2029]/u
/** Characters that change the direction of text, and can disguise a name. */
const BIDI_CONTROL = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
const FORBIDDEN = /[<>:"|?*\\]/
/** Reserved by Windows with any extension. */
const RESERVED = /^(con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³]) *(\.|$)/i

/** Returns the problem of a path as a predicate, such as "is empty"; undefined for a valid path. */
export function findPathProblem(path: string): string | undefined {
  if (path === '') return 'is empty'
  if (!path.isWellFormed() || path !== path.normalize('NFC')) return 'is not Unicode NFC'
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`
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
  const files = new Map<string, string>()
  for (const path of paths) {
    const problem = findPathProblem(path)
    if (problem) return `path "${path}" ${problem}`
    const duplicate = files.get(foldPath(path))
    if (duplicate !== undefined) return `paths "${duplicate}" and "${path}" are the same when case is ignored`
    files.set(foldPath(path), path)
  }
  for (const path of paths) {
    const segments = path.split('/')
    for (let length = 1; length < segments.length; length += 1) {
      const directory = segments.slice(0, length).join('/')
      if (files.has(foldPath(directory))) return `path "${directory}" is both a file and a directory`
    }
  }
  return undefined
}

/** Maps paths to the same text if a case-insensitive file system would treat them as equal. */
export function foldPath(path: string): string {
  return path.toUpperCase().toLowerCase().normalize('NFC')
}
