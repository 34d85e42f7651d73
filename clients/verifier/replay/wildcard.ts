/** The limit of the service. A longer pattern or name counts as a match, so that the alias counts as guarded. */
const MAX_CHARACTERS = 256

/** Whether `pattern`, in which `*` matches any number of characters, matches the whole of `name`. The verifier does not share
 * the implementation of the service, because it checks that implementation. */
export function matchesPattern(pattern: string, name: string): boolean {
  if (pattern.length > MAX_CHARACTERS || name.length > MAX_CHARACTERS) return true
  // reachable[n]: the pattern read so far matches the first n characters of the name.
  let reachable = Array.from({ length: name.length + 1 }, (_, length) => length === 0)
  for (const character of pattern.split('')) {
    const before = reachable
    let isReached = false
    reachable = before.map((isMatch, length) => {
      if (character === '*') return (isReached ||= isMatch)
      return length > 0 && before[length - 1]! && name[length - 1] === character
    })
  }
  return reachable[name.length]!
}
