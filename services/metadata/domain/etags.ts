export function etagOf({ revision }: { revision: number }): string {
  return String(revision)
}
