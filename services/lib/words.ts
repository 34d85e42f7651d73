/** The name of an enum's value, as the proto has it without the prefix. */
export function wordOf<Word extends string>(words: Record<Word, number>, value: number): Word {
  return Object.entries<number>(words).find(([, number]) => number === value)![0] as Word
}
