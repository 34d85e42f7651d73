/** Returns the name of an enum value as in the proto, without its prefix; the number if the value is unknown. */
export function wordOf<Word extends string>(words: Record<Word, number>, value: number): Word {
  const known = Object.entries<number>(words).find(([, number]) => number === value)
  return (known?.[0] ?? String(value)) as Word
}
