import { Tampered, Unusable } from './verdict.ts'

const NEWLINE = 10
/** Longer than any line of an export. */
const MAX_LINE_BYTES = 4_000_000

/** The lines without their ends, many at a time. */
export async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer[]> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const lines: Buffer[] = []
    let begin = 0
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, begin)) {
      lines.push(bytes.subarray(begin, end))
      begin = end + 1
    }
    rest = bytes.subarray(begin)
    yield lines
    if (rest.length > MAX_LINE_BYTES) throw new Unusable('it has lines that are too long for an export')
  }
  if (rest.length > 0) throw new Tampered('it ends in the middle of a line')
}
