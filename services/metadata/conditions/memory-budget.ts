// CEL functions that create new values, with a limit on the bytes that they create, because an expression of 60 characters can
// create gigabytes, and buffers do not count as heap.
import { celFunc, CelScalar } from '@bufbuild/cel'

const { BYTES, STRING } = CelScalar
const ENCODER = new TextEncoder()
const MIB = 1024 * 1024

export interface MemoryBudget {
  /** The functions that replace those of the same names in `celEnv`. */
  functions: ReturnType<typeof celFunc>[]
  /** Makes the whole budget available again. */
  reset: () => void
}

/** Creates the functions. A call beyond the budget throws, and its expression fails with an error. */
export function createMemoryBudget(maxBytes: number): MemoryBudget {
  let left = maxBytes
  const spend = (bytes: number): void => {
    left -= bytes
    if (left < 0) throw new Error(`evaluation exceeded ${maxBytes / MIB} MiB of created strings and bytes`)
  }
  return {
    functions: [
      celFunc('_+_', [STRING, STRING], STRING, (a: string, b: string) => {
        spend(2 * (a.length + b.length))
        return a + b
      }),
      celFunc('_+_', [BYTES, BYTES], BYTES, (a: Uint8Array, b: Uint8Array) => {
        spend(a.length + b.length)
        const joined = new Uint8Array(a.length + b.length)
        joined.set(a)
        joined.set(b, a.length)
        return joined
      }),
      celFunc('bytes', [STRING], BYTES, (text: string) => {
        spend(3 * text.length)
        return ENCODER.encode(text)
      }),
      celFunc('string', [BYTES], STRING, (bytes: Uint8Array) => {
        spend(2 * bytes.length)
        return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
      }),
    ],
    reset() {
      left = maxBytes
    },
  }
}
