import { isAscii } from 'node:buffer'
import type { Line } from './export-file.ts'
import { Tampered, Unusable } from '../verdict.ts'

const NEWLINE = 10
const ENTRY_LINE = '\n{"index"'
const PART_BYTES = 64 * 1024
/** The limit of an entry with its private values, which is longer than any that a service writes. */
const MAX_LINE_BYTES = 4_000_000

/** Yields the first line without its newline, then parts of whole lines. An entry and its private values are in one part.
 * Throws Unusable or Tampered. */
export async function* splitParts(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = []
  let length = 0
  let isFirst = true
  for await (const chunk of chunks) {
    let begin = 0
    for (;;) {
      const end = isFirst ? chunk.indexOf(NEWLINE) + 1 : endOf(chunk, begin, length)
      if (end === 0) break
      yield join([...pieces, chunk.subarray(begin, isFirst ? end - 1 : end)])
      isFirst = false
      pieces = []
      length = 0
      begin = end
    }
    pieces.push(chunk.subarray(begin))
    length += chunk.length - begin
    if (length > MAX_LINE_BYTES) throw new Unusable('a line is too long for an export')
  }
  const rest = join(pieces)
  const end = isFirst ? 0 : rest.lastIndexOf(NEWLINE) + 1
  if (end > 0) yield rest.subarray(0, end)
  if (rest.length > end) throw new Tampered('the export ends in the middle of a line')
}

/** Returns the end in `chunk` of a part that has `length` bytes before it; 0 if the part continues in the next chunk. */
function endOf(chunk: Buffer, begin: number, length: number): number {
  const end = chunk.indexOf(ENTRY_LINE, begin + Math.max(0, PART_BYTES - length)) + 1
  const isEndless = end === 0 && length + chunk.length - begin > MAX_LINE_BYTES
  return isEndless && chunk.lastIndexOf(NEWLINE) >= begin ? chunk.lastIndexOf(NEWLINE) + 1 : end
}

function join(pieces: Buffer[]): Buffer {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
}

/** Yields the lines of a part. Each yielded object is reused for the next line. */
export function* linesOf(bytes: Buffer): Iterable<Line> {
  const line = { bytes, text: bytes.toString('latin1'), isAscii: isAscii(bytes), begin: 0, end: 0 }
  for (;;) {
    line.end = line.text.indexOf('\n', line.begin)
    if (line.end === -1) return
    yield line
    line.begin = line.end + 1
  }
}
