import { failField } from '#lib/errors/errors.ts'

/** Returns the fields that an update changes. Fails if there are none, or if one is unknown. */
export function parseMask<const Field extends string>(
  mask: { paths: string[] } | undefined,
  known: readonly Field[],
): Set<Field> {
  const paths = mask?.paths ?? []
  if (paths.length === 0) failField('update_mask', `is required; known fields: ${known.join(', ')}`)
  return new Set(
    paths.map((path) => {
      const field = known.find((name) => name === path)
      if (field === undefined) failField('update_mask', `must contain only ${known.join(', ')}`)
      return field
    }),
  )
}
