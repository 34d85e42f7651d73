// Which file paths a version may have; checked before a push, and again before anything of a pull touches the disk.

const MAX_PATH_BYTES = 1024
const MAX_SEGMENT_BYTES = 255
// oxlint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f<>:"|?*\\]/
const RESERVED = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?$/i

/** What is wrong with a path, as the end of the sentence «the path … »; undefined for a good one. */
export function findPathProblem(path: string): string | undefined {
  if (path === '') return 'is empty'
  if (!path.isWellFormed() || path !== path.normalize('NFC')) return 'is not Unicode NFC'
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`
  for (const segment of path.split('/')) {
    if (segment === '') return 'begins or ends with a slash, or has two in a row'
    if (segment === '.' || segment === '..') return `has a «${segment}» in it`
    if (FORBIDDEN.test(segment)) return 'has a control character or one of <>:"|?*\\ in it'
    if (RESERVED.test(segment)) return `has the reserved name «${segment}» in it`
    if (/[. ]$/.test(segment)) return 'has a part that ends in a dot or space'
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) return `has a part of more than ${MAX_SEGMENT_BYTES} bytes`
  }
  return undefined
}

/** The first problem of a whole list: of one path, of two that differ in case only, or of a file that is also a directory. */
export function findListProblem(paths: string[]): string | undefined {
  const files = new Map<string, string>()
  for (const path of paths) {
    const problem = findPathProblem(path)
    if (problem) return `the path «${path}» ${problem}`
    const twin = files.get(fold(path))
    if (twin !== undefined) return `the paths «${twin}» and «${path}» are the same without case`
    files.set(fold(path), path)
  }
  const directories = new Map<string, string>()
  for (const path of paths) {
    const segments = path.split('/')
    for (let length = 1; length < segments.length; length += 1) {
      const directory = segments.slice(0, length).join('/')
      const known = directories.get(fold(directory))
      if (files.has(fold(directory))) return `the path «${directory}» is a file and a directory`
      if (known !== undefined && known !== directory)
        return `the directories «${known}» and «${directory}» are the same without case`
      directories.set(fold(directory), directory)
    }
  }
  return undefined
}

function fold(path: string): string {
  return path.normalize('NFC').toLowerCase()
}
