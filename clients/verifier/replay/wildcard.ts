/** The service accepts no longer ones. Whatever is longer counts as guarded. */
const MAX_CHARACTERS = 256

/** The rule of gates: whether `pattern`, in which `*` stands for any characters or none, is all of `name`. The verifier has
 * its own, because it judges the service's. */
export function matchesPattern(pattern: string, name: string): boolean {
  if (pattern.length > MAX_CHARACTERS || name.length > MAX_CHARACTERS) return true
  // reachable[n]: the pattern read so far matches the first n characters of the name.
  let reachable = Array.from({ length: name.length + 1 }, (_, length) => length === 0)
  for (const sign of pattern.split('')) {
    const before = reachable
    let isReached = false
    reachable = before.map((isMatch, length) => {
      if (sign === '*') return (isReached ||= isMatch)
      return length > 0 && before[length - 1]! && name[length - 1] === sign
    })
  }
  return reachable[name.length]!
}
