// The paths of the files of a manifest. All common file systems can store them side by side.
import { failField } from '#lib/errors/errors.ts'

const MAX_PATH_BYTES = 1024
const MAX_SEGMENT_BYTES = 255
const CONTROL = /[\p{Cc}\u2028\u2029]/u
/** Characters that change the direction of displayed text, and can disguise a name. */
const BIDI_CONTROL = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
const FORBIDDEN = /[<>:"|?*\\]/
/** Device names that Windows reserves, with any extension, and with superscript digits as well. */
const DEVICE = /^(con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³]) *(\.|$)/i

/** Throws FIELD_INVALID unless `path` follows the rules that the proto states at `ManifestFile.path`. */
export function parsePath(path: string, field: string): string {
  if (path === '') failField(field, 'must not be empty')
  if (!path.isWellFormed() || path.normalize('NFC') !== path) failField(field, 'must be in Unicode NFC')
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) failField(field, `must have at most ${MAX_PATH_BYTES} bytes`)
  if (path.startsWith('/')) failField(field, 'must be relative')
  if (CONTROL.test(path)) failField(field, 'must have no control characters')
  if (BIDI_CONTROL.test(path)) failField(field, 'must have no characters that change the direction of text')
  if (FORBIDDEN.test(path)) failField(field, 'must have none of < > : " | ? * \\')
  for (const segment of path.split('/')) checkSegment(segment, field)
  return path
}

function checkSegment(segment: string, field: string): void {
  if (segment === '') failField(field, 'must have no empty segment')
  if (segment === '.' || segment === '..') failField(field, 'must have no segment . or ..')
  if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) {
    failField(field, `must have segments of at most ${MAX_SEGMENT_BYTES} bytes`)
  }
  if (/[. ]$/.test(segment)) failField(field, 'must have no segment that ends in a dot or space')
  if (DEVICE.test(segment)) failField(field, `must have no reserved device name such as "${segment}"`)
}

/** Throws FIELD_INVALID if two paths differ in case only, or if one path is a directory of another. */
export function checkPathsTogether(paths: string[]): void {
  const files = new Map<string, number>()
  for (const [index, path] of paths.entries()) {
    const first = files.get(foldCase(path))
    if (first !== undefined) {
      failField(`files[${index}].path`, `must differ from files[${first}].path in more than case`)
    }
    files.set(foldCase(path), index)
  }
  for (const [index, path] of paths.entries()) {
    const segments = foldCase(path).split('/')
    for (let length = 1; length < segments.length; length += 1) {
      const file = files.get(segments.slice(0, length).join('/'))
      if (file !== undefined)
        failField(`files[${index}].path`, `must not be below files[${file}].path, which is a file`)
    }
  }
}

/** Upper case first: several lower-case letters can share one upper-case letter, or become two. */
function foldCase(path: string): string {
  return path.toUpperCase().toLowerCase().normalize('NFC')
}

/** Compares by code point, which is the order of UTF-8 bytes but not of JavaScript strings. */
export function comparePaths(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}
