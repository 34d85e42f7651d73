// The types in docs/events.md, those that are declared and those that the code emits are the same.
import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { EVENT_TYPES, type EventDescription } from '#lib/events/event-types.ts'
import { presentEventsPage } from '../../docs/events.ts'

const types = Object.entries<EventDescription>(EVENT_TYPES)

test('docs/events.md is what `npm run docs` writes, and has every type', () => {
  const page = readFileSync('docs/events.md', 'utf8')
  expect(page).toBe(presentEventsPage())
  const rows = [...page.matchAll(/^\| `([a-z_.]+\.v\d+)` \| (.*?) \| (.*?) \| (.*?) *\|$/gm)].map((row) => row.slice(1))
  const code = (keys: readonly string[]) => keys.map((key) => `\`${key}\``).join(', ')
  expect(rows).toEqual(
    types.map(([type, { producer, when, details }]) => {
      return [type, producer === 'each' ? 'every service' : producer, when, code(details)]
    }),
  )
})

test('every declared type is emitted by its service', () => {
  for (const [type, { producer }] of types) {
    const folder = producer === 'each' ? 'lib' : producer
    const files = globSync(`services/${folder}/**/*.ts`).filter((file) => !file.endsWith('event-types.ts'))
    expect([type, files.some((file) => readFileSync(file, 'utf8').includes(`'${type}'`))]).toEqual([type, true])
  }
})
