/** The name of an enum's value, as the proto has it without the prefix; the number where it is unknown. */
export function wordOf<Word extends string>(words: Record<Word, number>, value: number): Word {
  const known = Object.entries<number>(words).find(([, number]) => number === value)
  return (known?.[0] ?? String(value)) as Word
}
