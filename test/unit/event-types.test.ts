// The table of all events in the README, the types that are declared, and those that the code tells are the same.
import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { EVENT_TYPES, type EventDescription } from '#lib/events/event-types.ts'

const types = Object.entries<EventDescription>(EVENT_TYPES)

test('the README has every type of event, as it is declared', () => {
  const readme = readFileSync('README.md', 'utf8')
  const rows = [...readme.matchAll(/^\| `([a-z_.]+\.v\d+)` \|(.*)\|$/gm)].map((row) => row[0])
  const code = (keys: readonly string[]) => keys.map((key) => `\`${key}\``).join(', ')
  expect(rows).toEqual(
    types.map(([type, { producer, when, details }]) =>
      ['', ` \`${type}\` `, ` ${producer} `, ` ${when} `, details.length > 0 ? ` ${code(details)} ` : ' ', ''].join(
        '|',
      ),
    ),
  )
})

test('every declared type is told somewhere, by its service', () => {
  for (const [type, { producer }] of types) {
    const folder = producer === 'each' ? 'lib' : producer
    const files = globSync(`services/${folder}/**/*.ts`).filter((file) => !file.endsWith('event-types.ts'))
    expect([type, files.some((file) => readFileSync(file, 'utf8').includes(`'${type}'`))]).toEqual([type, true])
  }
})
