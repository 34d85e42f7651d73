import { sql, type RawBuilder } from 'kysely'
import { assert, asyncProperty, constantFrom, array, oneof, string } from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ModelkeepError } from '../../services/lib/errors/errors.ts'
import { parseFilter } from '../../services/lib/lists/filter.ts'
import {
  labelsField,
  numberField,
  textField,
  timeField,
  toCondition,
  wordField,
  type FilterFields,
} from '../../services/lib/store/filter.ts'
import { openOwnedStore } from '../../services/metadata/store/orm.ts'
import { createDatabase } from '../support/database.ts'

const testDatabase = await createDatabase()
const database = openOwnedStore({ url: testDatabase.url })
afterAll(async () => {
  await database.close(true)
  await testDatabase.drop()
})

const HOSTILE = [
  `'; drop table thing; --`,
  `' or '1'='1`,
  `\\'; select pg_sleep(9); --`,
  `$1`,
  `?`,
  `??`,
  `:name`,
  `%`,
  `_`,
  `a"b`,
  `{"a":1}`,
  `$$`,
  `/* x */`,
  `\u202e🗝`,
]

beforeAll(async () => {
  const em = database.em.fork()
  await em.execute(`create table thing (name text, size float8 null, state text, time timestamptz, labels jsonb)`)
  const rows: [string, number | null, string, string, object][] = [
    ['alpha', 1, 'ACTIVE', '2026-01-01T00:00:00Z', { team: 'core', 'app.kubernetes.io/name': 'x' }],
    ['Beta', -0.5, 'ACTIVE', '2026-06-01T12:30:00.000001Z', { team: 'Edge' }],
    ['gamma', null, 'ARCHIVED', '2026-12-31T23:59:59Z', {}],
    ...HOSTILE.map((text): [string, number, string, string, object] => [
      text,
      100,
      'ARCHIVED',
      '2020-01-01T00:00:00Z',
      { [text]: text, hostile: text },
    ]),
  ]
  for (const [name, size, state, time, labels] of rows) {
    await em.execute('insert into thing values (?, ?, ?, ?, ?)', [name, size, state, time, JSON.stringify(labels)])
  }
})

const column = (name: string): RawBuilder<unknown> => sql`${sql.ref(`thing.${name}`)}`
const FIELDS: FilterFields = {
  name: textField(column('name')),
  size: numberField(column('size')),
  state: wordField(column('state'), ['ACTIVE', 'ARCHIVED']),
  time: timeField(column('time')),
  labels: labelsField(column('labels')),
  'source.commit': textField(column('name')),
}

async function find(filter: string): Promise<string[]> {
  const condition = toCondition(parseFilter(filter)!, FIELDS)
  const rows = await sql<{ name: string }>`select name from thing where ${condition} order by name collate "C"`.execute(
    database.em.fork().getKysely(),
  )
  return rows.rows.map(({ name }) => name)
}

test.each([
  ['name = alpha', ['alpha']],
  ['name = ALPHA', []],
  ['name : ET', ['Beta']],
  ['size < 0', ['Beta']],
  ['size >= -0.5 AND size <= 1', ['Beta', 'alpha']],
  ['size = 1e0', ['alpha']],
  ['state = active', ['Beta', 'alpha']],
  ['state != ACTIVE name = gamma', ['gamma']],
  ['time > 2026-06-01T12:30:00.000000Z', ['Beta', 'gamma']],
  ['time > 2026-06-01T12:30:00.000001Z', ['gamma']],
  ['time = 2026-06-01T14:30:00.000001+02:00', ['Beta']],
  ['time >= 2026-01-01 time < 2026-01-02', ['alpha']],
  ['labels.team = core', ['alpha']],
  ['labels.team : edg', ['Beta']],
  ['labels:team', ['Beta', 'alpha']],
  ['labels.team:*', ['Beta', 'alpha']],
  ['labels.app.kubernetes.io/name = x', ['alpha']],
  ['source.commit = alpha', ['alpha']],
  ['(name = alpha OR name = Beta) -labels.team = core', ['Beta']],
])('finds rows by %s', async (filter, names) => expect(await find(filter)).toEqual(names))

test('treats null as neither equal nor smaller, and includes it in NOT', async () => {
  expect(await find('size < 0 OR size > 50 OR size != 100 name = gamma')).toEqual(['gamma'])
  expect(await find('NOT size < 1000')).toEqual(['gamma'])
  expect(await find('labels.team != core name : a size < 50')).toEqual(['Beta'])
  expect(await find('NOT labels.team = core (name = alpha OR name = gamma)')).toEqual(['gamma'])
})

test.each(HOSTILE)('treats %j as a value in every place', async (text) => {
  const quoted = `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`
  expect(await find(`name = ${quoted}`)).toEqual([text])
  expect(await find(`labels.hostile = ${quoted}`)).toEqual([text])
  expect(await find(`labels.${quoted} = ${quoted}`)).toEqual([text])
  expect(await find(`labels : ${quoted}`)).toEqual([text])
  expect(await find(`labels.${quoted} : "*"`)).toEqual([text])
  expect(await find(`name : ${quoted} state = ARCHIVED size = 100`)).toContain(text)
  for (const field of ['size', 'state', 'time']) {
    await expect(find(`${field} = ${quoted}`)).rejects.toMatchObject({ metadata: { field: 'filter' } })
  }
  await expect(find(`${quoted} = 1`)).rejects.toThrow('has an unknown field')
})

test.each([
  ['labels."" = x', []],
  ['time = 2026-01-01T00:00:00.123456789Z', []],
  ['time >= 2026-01-01T00:00:00+23:59 time <= 2026-01-01T00:00:00.000000999Z', ['alpha']],
  ['time < 2026-01-01T00:00:00-23:59 time >= 2026-01-01T00:00:00Z', ['alpha']],
  ['size = +1', ['alpha']],
  ['size = 1.', ['alpha']],
  ['size = -.5', ['Beta']],
])('accepts %s', async (filter, names) => expect(await find(filter)).toEqual(names))

test.each([
  ['nothing = 1', 'has an unknown field "nothing"'],
  ['__proto__ = 1', 'has an unknown field "__proto__"'],
  ['constructor = 1', 'has an unknown field "constructor"'],
  ['labels = x', 'requires a name after the dot'],
  ['size = "1"', 'has "1" where a number is expected'],
  ['size = 0x10', 'has "0x10" where a number is expected'],
  ['size = 0b1', 'has "0b1" where a number is expected'],
  ['size = NaN', 'has "NaN" where a number is expected'],
  ['size = 1e999', 'has "1e999" where a number is expected'],
  ['size : 1', 'does not support :'],
  ['size.x = 1', 'has an unknown subfield "x"'],
  ['state = GONE', 'has "GONE" where one of ACTIVE, ARCHIVED is expected'],
  ['state < ACTIVE', 'supports only = and !='],
  ['time : 2026-01-01', 'does not support :'],
])('rejects %s', async (filter, why) => {
  await expect(find(filter)).rejects.toMatchObject({
    metadata: { field: 'filter' },
    message: expect.stringContaining(why) as string,
  })
})

test.each([
  'yesterday',
  'now',
  '2026-02-30',
  '2026-02-30T00:00:00Z',
  '2025-02-29',
  '2026-13-01',
  '0000-01-01',
  '2026-01-01T25:00:00Z',
  '2026-01-01T24:00:00Z',
  '2026-01-01T23:60:00Z',
  '2026-01-01T00:00:00+99:00',
  '0001-01-01T00:00:00+15:00',
  '9999-12-31T23:59:59-15:00',
])('rejects the time %s', async (time) => {
  await expect(find(`time = ${time}`)).rejects.toMatchObject({
    metadata: { field: 'filter' },
    message: expect.stringContaining(`has "${time}" where a time like`) as string,
  })
})

test('returns rows or an error for any filter', async () => {
  const text = `name size state time labels labels.team AND OR NOT - ( ) = != < : alpha 1 -0.5 1e308 9e999 2026-01-01
    99999-01-01 "x" ' \\ ACTIVE * ""`
  const words = constantFrom(...text.split(/\s+/))
  const filter = oneof(
    string({ maxLength: 60 }),
    array(words, { maxLength: 12 }).map((all) => all.join(' ')),
  )
  await assert(
    asyncProperty(filter, async (input) => {
      if (input.trim() === '') return
      try {
        await find(input)
      } catch (error) {
        if (!(error instanceof ModelkeepError)) throw error
      }
    }),
    { numRuns: 300 },
  )
})
