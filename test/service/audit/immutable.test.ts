import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeEvents, makeSigner, startAudit } from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'

const database = await createDatabase()
beforeAll(async () => {
  const audit = await startAudit(database.url, { signer: makeSigner() })
  await audit.ingest.appendEvents({ events: makeEvents(1, 3) })
  // The service signs a last checkpoint when it stops.
  await audit.close()
})
afterAll(() => database.drop())

const asRole = (statement: string) => runSql(database.url, `set role modelkeep_audit; ${statement}`)
const asOwner = (statement: string) => runSql(database.url, statement)

test.each([
  'update audit.entry set leaf = leaf',
  `update audit.entry set reason = 'another' where index = 0`,
  'delete from audit.entry',
  'truncate audit.entry',
  'insert into audit.log_head (id, size) values (1, 0)',
  'delete from audit.log_head',
  'truncate audit.log_head',
  'delete from audit.producer',
  'truncate audit.producer',
  'delete from audit.tile',
  'truncate audit.tile',
  `update audit.checkpoint set note = ''`,
  'delete from audit.checkpoint',
  'truncate audit.checkpoint',
  `update audit.private_value set field = 'other'`,
  'delete from audit.private_value',
  'truncate audit.private_value',
  `update audit.private_value set retention_class = 'SECURITY'`,
  `update audit.hold set reason = 'other'`,
  'delete from audit.hold',
  'truncate audit.hold',
  `update audit.cosignature set line = ''`,
  'delete from audit.cosignature',
  'truncate audit.cosignature',
  `update audit.publication set quorum = 'MET'`,
  'delete from audit.publication',
  'truncate audit.publication',
  `update audit.alarm set kind = 'GAP'`,
  'delete from audit.alarm',
  'truncate audit.alarm',
  'delete from audit.worm_copy',
  'truncate audit.worm_copy',
  'update audit.private_value set index = 7',
  `update audit.hold set namespace = '*'`,
  `update audit.cosignature set size = 7`,
  'alter table audit.tile disable trigger all',
  'drop table audit.entry',
  'alter table audit.entry disable trigger all',
  'alter table audit.entry add column extra text',
  'drop trigger entry_immutable on audit.entry',
  'create or replace function audit.log_immutable() returns trigger language plpgsql as $$ begin return old; end $$',
  'create table audit.other ()',
  'select * from metadata.outbox',
  'select * from artifact.outbox',
])('the database denies the role of the service: %s', async (statement) => {
  await expect(asRole(statement)).rejects.toThrow(/permission denied|must be owner/)
})

test.each([
  'update audit.entry set leaf = leaf',
  `update audit.entry set reason = 'another' where index = 0`,
  'delete from audit.entry where index = 2',
  'truncate audit.entry',
  'truncate audit.entry cascade',
  'delete from audit.log_head',
  'truncate audit.log_head',
  'delete from audit.producer',
  'truncate audit.producer',
  'delete from audit.tile',
  'truncate audit.tile',
  `update audit.checkpoint set note = ''`,
  'delete from audit.checkpoint',
  'truncate audit.checkpoint',
  'delete from audit.private_value',
  'truncate audit.private_value',
  'truncate audit.hold',
  'truncate audit.alarm',
  'truncate audit.cosignature',
  `update audit.publication set quorum = 'MET'`,
  'delete from audit.publication',
  'truncate audit.publication',
])('a trigger stops the owner: %s', async (statement) => {
  await expect(asOwner(statement)).rejects.toThrow('the log is only ever added to')
})

const TABLES = [
  'entry',
  'log_head',
  'producer',
  'tile',
  'checkpoint',
  'private_value',
  'hold',
  'alarm',
  'cosignature',
  'publication',
  'worm_copy',
]
const DEEDS = ['select from', 'insert into', 'update', 'delete from', 'truncate']
const statementOf = (deed: string, table: string) =>
  ({ 'insert into': `insert into audit.${table} default values`, update: `update audit.${table} set xmin = null` })[
    deed
  ] ?? `${deed} audit.${table}`

test.each(['metadata', 'artifact'])('the database denies the role of %s every table of the log', async (role) => {
  for (const table of TABLES) {
    for (const deed of DEEDS) {
      const tried = runSql(database.url, `set role modelkeep_${role}; ${statementOf(deed, table)}`)
      await expect(tried, `${deed} ${table}`).rejects.toThrow(/permission denied/)
    }
  }
})

test('the list of tables is complete', async () => {
  const rows = (await runSql(
    database.url,
    `select tablename as name from pg_tables where schemaname = 'audit' and tablename not like '%migration%'`,
  )) as { name: string }[]
  expect(rows.map(({ name }) => name).toSorted()).toEqual(TABLES.toSorted())
})

test.each([
  ['update audit.log_head set size = size - 1', 'the log never shrinks'],
  ['update audit.log_head set size = size + 1', 'the tree grows with the log'],
  [`update audit.log_head set root = sha256('another')`, 'the tree grows with the log'],
  ['update audit.log_head set peaks = root', 'the tree grows with the log'],
  ['update audit.tile set hashes = substring(hashes for 32)', 'a tile is only ever added to'],
  [`update audit.tile set hashes = overlay(hashes placing '\\x00' from 1)`, 'a tile is only ever added to'],
  ['update audit.tile set index = 7', 'a tile is only ever added to'],
  ['update audit.producer set next_sequence = 1', 'a producer never counts back'],
  [`update audit.producer set name = 'other'`, 'a producer never counts back'],
])('a trigger stops role and owner: %s', async (statement, message) => {
  await expect(asRole(statement)).rejects.toThrow(message)
  await expect(asOwner(statement)).rejects.toThrow(message)
})

test('the log is unchanged after all attempts', async () => {
  const [row] = (await runSql(
    database.url,
    `select (select count(*) from audit.entry) as count, (select size from audit.log_head) as size,
      (select next_sequence from audit.producer) as next`,
  )) as { count: string; size: string; next: string }[]
  expect(row).toEqual({ count: '3', size: '3', next: '4' })
})
