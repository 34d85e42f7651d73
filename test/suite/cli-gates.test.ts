// Gates, evaluations and erasures with the `modelkeep` command on a real standalone server.
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { People } from '../support/people.ts'
import { StandaloneHome } from '../support/standalone-home.ts'

/** Events reach the log with a short delay. */
const PATIENCE = { timeout: 25_000, interval: 300 }

let server: StandaloneHome
let people: People

beforeAll(async () => {
  server = await StandaloneHome.open()
  people = await People.join(server, { ci: 'contributor', ada: 'approver', bob: 'approver' })
})
afterAll(() => server.close())

test('erases values of an event, but only after confirmation', async () => {
  const file = await server.write('secret.bin', Buffer.from('secret'))
  await server.ok('push', file, 'secret')
  await server.ok('alias', 'set', 'secret@production', '1', '--reason', 'Jane asked')
  const ask = ['log', 'secret@production']
  await vi.waitFor(async () => expect(await server.ok(...ask)).toContain('Jane asked'), PATIENCE)
  const { entries } = await server.json<{ entries: { event: { id: string } }[] }>(...ask)
  const { id } = entries[0]!.event
  const redact = ['audit', 'redact', id, '--reason', 'she wishes it']
  expect(await server.run(...redact)).toMatchObject({
    code: 2,
    err: `modelkeep: confirmation is missing to permanently erase all private values of event ${id}; this cannot be undone\n  Confirm with --yes.\n`,
  })
  expect(await server.ok(...ask)).toContain('Jane asked')
  expect(await server.ok(...redact, '--yes')).toMatch(/^erased; recorded as entry \d+ of the log\n/)
  expect(await server.ok(...ask)).not.toContain('Jane asked')
})

test('lists and shows evaluations with the digest of a report', async () => {
  await people.pushTwo(server, 'measured')
  const report = await server.write('report.html', Buffer.from('<p>good</p>'))
  const data = ['--dataset', 'calls', '--dataset-digest', 'md5:1', '--runner', 'pytest 9.1', '--summary', '# Fine']
  const metric = ['--metric', 'p99=12,dataset=calls', '--run-uri', 'https://ci.example/7']
  const add = ['evaluation', 'add', 'measured:1', '--suite', 'load', '--passed', '--report', report]
  const made = await people.json<{ id: string; facts: object }>('ci', ...add, ...metric, ...data)
  expect(made.facts).toMatchObject({
    suite: 'load',
    verdict: 'VERDICT_PASSED',
    metrics: [{ name: 'p99', value: 12, dataset: 'calls' }],
    dataset: { name: 'calls', digest: 'md5:1' },
    reportUri: report,
    reportDigest: 'sha256:b5ba0a330933675d76db0d1f41a4aa64b01358a01ead2962d82036f9f080d254',
  })
  const shown = await people.ok('ada', 'evaluation', 'show', made.id)
  expect(shown).toMatch(/version +default\/measured:1\n/)
  expect(shown).toMatch(/metric +p99 = 12 on calls\n/)
  expect(shown).toContain('# Fine')
  await people.ok('ci', 'evaluation', 'add', 'measured:1', '--suite', 'noise', '--failed')
  expect(await people.ok('ada', 'evaluation', 'list', 'measured@production')).toMatch(
    /noise +failed .*\n.*load +passed +p99=12/,
  )
  expect(await people.ok('ada', 'evaluation', 'list', 'measured:1', '--suite', 'load')).not.toContain('noise')
  expect(await people.ok('ada', 'show', 'measured:1')).toMatch(/evaluation +noise failed, .* by ci\n +load passed, /)
  expect(await people.ok('ada', 'evaluation', 'list', 'measured:2')).toBe('no evaluations\n')
  expect((await people.run('ci', ...add, '--report-digest', `sha256:${'0'.repeat(64)}`)).code).toBe(7)
})

test('prints rules as JSON, reads them from a file, and lists their revisions', async () => {
  await server.ok('namespace', 'create', 'fraud')
  const approvers = ['--approvals', '2', '--approver', 'bob', '--approver', 'ada']
  const create = ['gate', 'create', 'fraud/live', '--alias', 'live', ...approvers, '--expiry', '12h']
  await server.ok(...create)
  const gate = await server.json<{ id: string; rules: { approvalsRequired: number } }>('gate', 'show', 'fraud/live')
  expect(gate).toMatchObject({ namespace: 'fraud', name: 'live', model: '', revision: 1 })
  expect(gate.rules).toMatchObject({ aliasPattern: 'live', approvers: ['bob', 'ada'], expiry: '43200s' })
  const file = await server.write('rules.json', Buffer.from(JSON.stringify({ ...gate.rules, approvalsRequired: 1 })))
  const update = ['-n', 'fraud', 'gate', 'update', 'live', '--reason', 'one is enough', '--file', file]
  expect(await server.ok(...update, '--condition', 'artifact.file_count == 1 :: it is one file')).toContain(
    'revision 2',
  )
  await server.ok('gate', 'update', 'fraud/live', '--expiry', '7d')
  const { rules } = await server.json<{ rules: object }>('gate', 'show', 'fraud/live')
  expect(rules).toMatchObject({ approvalsRequired: 1, expiry: '604800s', conditions: [{ sentence: 'it is one file' }] })
  expect(await server.ok('-n', 'fraud', 'gate', 'list')).toMatch(/live +all models of fraud +@live +1 +1 +3 /)
  expect(await server.ok('gate', 'show', 'fraud/live')).toMatch(/when +it is one file: artifact.file_count == 1\n/)
  const exists = await server.run(...create)
  expect(exists.code).toBe(5)
  expect(exists.err).toContain('modelkeep gate update fraud/live')
  const change = ['gate', 'update', 'fraud/live']
  expect((await server.run(...change, '--condition', 'true :: yes', '--no-conditions')).err).toContain('cannot be used')
  expect(await server.json(...change, '--no-conditions', '--no-approvers')).toMatchObject({
    rules: { approvalsRequired: 1, conditions: [], approvers: [] },
  })
  const help = (await server.run(...change, '--help')).out.replaceAll(/\s+/g, ' ')
  expect(help).toContain('--no-conditions')
  expect(help).not.toContain('default: 0')
  expect(help).not.toContain('default: 7d')
  expect((await server.run('gate', 'delete', 'fraud/live')).err).toBe(
    'modelkeep: confirmation is missing to delete gate fraud/live, after which its aliases move freely; ' +
      'this cannot be undone\n  Confirm with --yes.\n',
  )
  await server.ok('gate', 'delete', 'fraud/live', '--yes', '--reason', 'not needed')
  expect((await server.run('gate', 'show', 'fraud/live')).code).toBe(3)
  expect(await server.ok('gate', 'history', gate.id)).toMatch(/revision +5\n.*\nwhy +not needed\nrules +deleted/)
  expect(await server.ok('-n', 'fraud', 'gate', 'list')).toBe('no gates\n')
})

test('tests rules before they are a gate, and moves an unguarded alias at once', async () => {
  await people.pushTwo(server, 'free')
  expect(await people.ok('ada', 'gate', 'test', 'free:2', 'staging')).toBe('nothing guards default/free@staging\n')
  const fine = ['gate', 'test', 'free@latest', 'staging', '--condition', 'version.number == 2 :: it is the second']
  expect((await people.run('ada', ...fine)).out).toBe('these rules\n  ✓ it is the second\n')
  const file = await server.write(
    'try.json',
    Buffer.from('{"conditions": [{"expression": "false", "sentence": "never"}]}'),
  )
  const never = await people.run('ada', 'gate', 'test', 'free:2', 'staging', '--file', file, '--json')
  expect(never.code).toBe(8)
  expect(JSON.parse(never.out)).toMatchObject({ passed: false, decisions: [{ conditions: [{ sentence: 'never' }] }] })
  const moved = await people.run('ada', 'promote', 'free@latest', 'staging', '--reason', 'try')
  expect(moved).toMatchObject({ code: 0, out: 'default/free@staging → version 2\n' })
})

test.each([
  ['--passed or --failed', ['evaluation', 'add', 'scorer:1', '--suite', 'x']],
  ['--passed or --failed', ['evaluation', 'add', 'scorer:1', '--suite', 'x', '--passed', '--failed']],
  ['--suite', ['evaluation', 'add', 'scorer:1', '--passed']],
  ['is not a number', ['evaluation', 'add', 'scorer:1', '--suite', 'x', '--passed', '--metric', 'a=b']],
  ['--dataset', ['evaluation', 'add', 'scorer:1', '--suite', 'x', '--passed', '--dataset-digest', 'a']],
  ['facts.report_digest', ['evaluation', 'add', 'scorer:1', '--suite', 'x', '--passed', '--report-digest', 'a']],
  ['names a model, not a version', ['evaluation', 'list', 'scorer']],
  ['must be a UUID', ['evaluation', 'show', 'x']],
  ['--alias', ['gate', 'create', 'g']],
  ['has no explanation', ['gate', 'create', 'g', '--alias', 'a', '--condition', 'true']],
  ['--approvals', ['gate', 'create', 'g', '--alias', 'a', '--approvals', 'two']],
  ['--approvals must be', ['gate', 'create', 'g', '--alias', 'a', '--approvals', '11']],
  ['--expiry', ['gate', 'create', 'g', '--alias', 'a', '--expiry', 'soon']],
  ['--condition[0].expression', ['gate', 'create', 'g', '--alias', 'a', '--condition', 'version. :: x']],
  ['more than one slash', ['gate', 'show', 'a/b/c']],
  ['nothing to change', ['gate', 'update', 'g']],
  ['contains no valid rules', ['gate', 'create', 'g', '--file', 'package.json']],
  ['a gate must have a condition', ['gate', 'create', 'g', '--alias', 'a']],
  ['--reason', ['promote', 'scorer:1', 'production']],
  ['is unknown; use pending', ['promotion', 'list', '--state', 'lost']],
  ['must be a UUID', ['promotion', 'approve', 'x', '--reason', 'y']],
  ['\n  See: modelkeep promotion approve --help', ['promotion', 'approve', 'x']],
  ['\n  See: modelkeep gate --help', ['gate', 'make']],
])('a usage error contains %s: %j', async (message, args) => {
  const { code, err, out } = await server.run(...args)
  expect(err).toContain(message)
  expect([code, out]).toEqual([2, ''])
})

test.each([
  ['promotion list', ['promotion', 'show', '01900000-0000-7000-8000-000000000000']],
  ['evaluation list', ['evaluation', 'show', '01900000-0000-7000-8000-000000000000']],
  ['gate list', ['gate', 'show', 'nothing']],
  ['modelkeep list', ['promote', 'nowhere:1', 'production', '--reason', 'x']],
])('a missing resource leads to %s', async (hint, args) => {
  const { code, err } = await server.run(...args)
  expect(err).toContain(hint)
  expect(code).toBe(3)
})

test('completion offers the governance commands', async () => {
  const script = await server.ok('completion', 'bash')
  for (const words of [
    "'gate create') words='--model --alias",
    "'promotion') words='request list show approve reject",
  ]) {
    expect(script).toContain(words)
  }
})
