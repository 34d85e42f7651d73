// The paths of the files of a manifest. All common file systems can store them side by side.
import { failField } from '#lib/errors/errors.ts'
import type { PathTree } from '#lib/values/path-tree.ts'

const MAX_PATH_BYTES = 1024
const MAX_SEGMENT_BYTES = 255
const MAX_SEGMENTS = 32
const CONTROL = /[\p{Cc}\u2028\u2029]/u
/** Characters that change the direction of displayed text, and can disguise a name. */
const BIDI_CONTROL = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
const FORBIDDEN = /[<>:"|?*\\]/
/** Device names that Windows reserves, with any extension, and with superscript digits as well. */
const DEVICE = /^(con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³]) *(\.|$)/i

/** Throws FIELD_INVALID unless `path` follows the rules that the proto states at `ManifestFile.path`. */
export function parsePath(path: string, field: string): string {
  if (path === '') failField(field, 'must not be empty')
  // The length comes first, because it takes quadratic time to normalize a text of many combining characters.
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) failField(field, `must have at most ${MAX_PATH_BYTES} bytes`)
  if (!path.isWellFormed() || path.normalize('NFC') !== path) failField(field, 'must be in Unicode NFC')
  if (path.startsWith('/')) failField(field, 'must be relative')
  if (CONTROL.test(path)) failField(field, 'must have no control characters')
  if (BIDI_CONTROL.test(path)) failField(field, 'must have no characters that change the direction of text')
  if (FORBIDDEN.test(path)) failField(field, 'must have none of < > : " | ? * \\')
  const segments = path.split('/')
  if (segments.length > MAX_SEGMENTS) failField(field, `must have at most ${MAX_SEGMENTS} segments`)
  for (const segment of segments) checkSegment(segment, field)
  return path
}

function checkSegment(segment: string, field: string): void {
  if (segment === '') failField(field, 'must have no empty segment')
  if (segment === '.' || segment === '..') failField(field, 'must have no segment "." or ".."')
  if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) {
    failField(field, `must have segments of at most ${MAX_SEGMENT_BYTES} bytes`)
  }
  if (/[. ]$/.test(segment)) failField(field, 'must have no segment that ends in a dot or space')
  if (DEVICE.test(segment)) failField(field, `must have no reserved device name such as "${segment}"`)
}

/** Adds the path of `files[index]` to the tree. Throws FIELD_INVALID if it differs from another path in case only, or if one of
 * the two is a directory of the other. */
export function addPath(tree: PathTree, path: string, index: number): void {
  const conflict = tree.add(path)
  if (!conflict) return
  const [mine, other] = [`files[${index}].path`, `files[${conflict.index}].path`]
  if (conflict.kind === 'same') failField(mine, `must differ from ${other} in more than case`)
  const [below, file] = conflict.kind === 'below' ? [mine, other] : [other, mine]
  failField(below, `must not be below ${file}, which is a file`)
}

/** Compares by code point, which is the order of UTF-8 bytes but not of JavaScript strings. */
export function comparePaths(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at += 1) {
    const [one, other] = [left.charCodeAt(at), right.charCodeAt(at)]
    if (one !== other) return rankOf(one) - rankOf(other)
  }
  return left.length - right.length
}

/** Ranks the halves of surrogate pairs above all other code units, as the code points that they stand for. */
function rankOf(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}
