// Evaluations, gates and promotions by the `modelkeep` command on a real standalone server, as four people use it.
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { People } from '../support/people.ts'
import { StandaloneHome } from '../support/standalone-home.ts'

/** The log takes an event a moment later. */
const PATIENCE = { timeout: 25_000, interval: 300 }
const NOISE = 'latest.noise.verdict == "PASSED" :: the noise suite passed'
const BETTER = 'version.metrics.f1 > current.metrics.f1 :: f1 is better than what is live'

let server: StandaloneHome
let people: People

beforeAll(async () => {
  server = await StandaloneHome.open()
  people = await People.join(server, { ci: 'contributor', ada: 'approver', bob: 'approver' })
})
afterAll(() => server.close())

async function pushTwo(model: string): Promise<void> {
  for (const [index, f1] of [0.91, 0.96].entries()) {
    const file = await server.write(`${model}-${index}.bin`, Buffer.from(`${model} ${index}`))
    await people.ok('ci', 'push', file, model, '--metric', `f1=${f1}`)
  }
  await server.ok('alias', 'set', `${model}@production`, '1')
}

test('a version goes live when its gate is met and somebody else agrees', { timeout: 120_000 }, async () => {
  await pushTwo('scorer')
  await people.ok('ci', 'alias', 'set', 'scorer@candidate', '2')
  await people.ok('ci', 'evaluation', 'add', 'scorer:2', '--suite', 'noise', '--failed', '--metric', 'wer=0.3')
  const rules = ['--alias', 'production', '--condition', NOISE, '--condition', BETTER, '--approvals', '1']
  const made = await server.ok('gate', 'create', 'release', '--model', 'scorer', ...rules, '--reason', 'two people')
  expect(made).toMatch(
    /^default\/release guards aliases of default\/scorer\nguards +@production\nwhen +the noise suite/,
  )

  const tried = await people.run('ada', 'gate', 'test', 'scorer:2', 'production')
  expect(tried.code).toBe(8)
  expect(tried.out).toContain(
    'release (revision 1)\n  ✗ the noise suite passed: latest.noise.verdict == "PASSED"\n  ✓ f1 is better',
  )
  expect(tried.out).toContain('0 of 1 approvals')
  expect(tried.err).toBe('modelkeep: default/scorer:2 does not meet a condition for production\n')

  const direct = await server.run('alias', 'set', 'scorer@production', '2')
  expect(direct.code).toBe(8)
  expect(direct.err).toMatch(/modelkeep promote .* production --reason/)
  const file = await server.write('scorer-2.bin', Buffer.from('scorer 2'))
  const pushed = await people.run('ci', 'push', file, 'scorer', '--alias', 'production')
  expect(pushed.code).toBe(8)
  expect(pushed.err).toContain('pushed default/scorer:3, but alias production was not set\n')
  const promote = ['promote', 'scorer:2', 'production', '--reason', 'better on noisy calls']
  const unmet = await people.run('ada', ...promote)
  expect(unmet.code).toBe(8)
  expect(unmet.err).toBe(
    'modelkeep: a condition for production is not met\n' +
      '  ✗ release: the noise suite passed: latest.noise.verdict == "PASSED"\n',
  )
  const { error } = JSON.parse((await people.run('ada', ...promote, '--json')).err) as { error: object }
  expect(error).toMatchObject({
    reason: 'GATE_UNMET',
    unmet: [{ gate: 'release', expression: 'latest.noise.verdict == "PASSED"', sentence: 'the noise suite passed' }],
    exit: 8,
  })

  const added = await people.run('ci', 'evaluation', 'add', 'scorer@candidate', '--suite', 'noise', '--passed')
  expect(added).toMatchObject({ code: 0, err: 'scorer@candidate is default/scorer:2\n' })
  expect(added.out).toMatch(/^recorded that default\/scorer:2 passed noise\nid /)
  expect(await people.ok('ada', 'gate', 'test', 'scorer:2', 'production')).not.toContain('✗')

  const asked = await people.run('ada', ...promote)
  expect(asked.out).toMatch(
    /^waits for an approval: promotion of version 2 to default\/scorer@production\nid +[0-9a-f-]{36}\nuntil /,
  )
  const id = /[0-9a-f-]{36}/.exec(asked.out)![0]
  expect(asked.err).toContain(`modelkeep promotion approve ${id}`)
  expect((await people.run('ada', ...promote)).err).toContain(`modelkeep promotion show ${id}`)
  expect(await people.ok('bob', 'promotion', 'list', '--state', 'pending')).toMatch(
    new RegExp(`${id} +default/scorer@production +1 → 2 +pending +0/1 +(2\\S+ \\S+ +){2}ada +better on noisy calls`),
  )
  expect(await people.ok('bob', 'promotion', 'show', id)).toMatch(
    /\n\nconditions when the promotion was requested, 2.*\nrelease \(revision 1\)\n/,
  )
  const own = await people.run('ada', 'promotion', 'approve', id, '--reason', 'mine')
  expect(own.code).toBe(4)
  expect(own.err).toContain('modelkeep -n <namespace> role list')
  expect((await people.run('ci', 'promotion', 'approve', id, '--reason', 'no role')).code).toBe(4)
  expect(await people.ok('bob', 'promotion', 'approve', id, '--reason', 'heard it')).toBe(
    'default/scorer@production → version 2 (was version 1)\n',
  )
  expect(await people.ok('ci', 'resolve', 'scorer@production')).toContain('default/scorer:2 ')
  const shown = await people.ok('ci', 'promotion', 'show', id)
  expect(shown).toMatch(/state +applied/)
  expect(shown).toMatch(/conditions when the promotion was applied, 2.*\nrelease/)
  expect(shown).toMatch(/✓ the noise suite passed\n/)
  expect(shown).toMatch(/bob +yes +heard it/)
  expect(await people.ok('ci', 'promotion', 'list', '--model', 'scorer', '--state', 'pending')).toBe('no promotions\n')

  const hasty = await server.run('alias', 'rollback', 'scorer@production', '--break-glass')
  expect(hasty.code).toBe(2)
  const back = ['alias', 'set', 'scorer@production', '1', '--reason', 'incident 7', '--break-glass']
  expect((await people.run('ada', ...back)).code).toBe(4)
  expect(await server.ok(...back)).toContain('→ version 1 (was version 2)')
  expect(await people.ok('ci', 'alias', 'history', 'scorer@production')).toMatch(
    new RegExp(`2 +1 +admin +forced +incident 7\n.* 1 +2 +bob +promotion ${id} +better.*\n.* – +1 +admin\n`),
  )
  await vi.waitFor(async () => {
    const log = await server.ok('log', 'scorer')
    expect(log).toMatch(/admin +gate created +default\/release +two people/)
    expect(log).toMatch(/ci +evaluation created noise failed +default\/scorer:2/)
    expect(log).toMatch(/ada +promotion requested → 2 +default\/scorer@production +better on noisy calls/)
    expect(log).toMatch(/bob +promotion applied → 2 +default\/scorer@production/)
    expect(log).toMatch(/admin +alias forced 2 → 1 +default\/scorer@production +incident 7/)
  }, PATIENCE)
})

test('a promotion is rejected or taken back', async () => {
  await pushTwo('ranker')
  await server.ok('gate', 'create', 'ranker-two', '--model', 'ranker', '--alias', 'prod*', '--approvals', '1')
  const promote = ['promotion', 'request', 'ranker:2', 'production', '--reason', 'try it']
  const first = await people.json<{ id: string; state: string }>('ada', ...promote)
  expect(first.state).toBe('PROMOTION_STATE_PENDING_APPROVAL')
  expect(await people.ok('bob', 'promotion', 'reject', first.id, '--reason', 'too early')).toMatch(
    /^rejected: promotion of/,
  )
  const closed = await people.run('bob', 'promotion', 'approve', first.id, '--reason', 'after all')
  expect(closed.code).toBe(5)
  expect(closed.err).toContain(`modelkeep promotion show ${first.id}`)
  const second = await people.json<{ id: string }>('ada', ...promote)
  expect(await people.ok('ada', 'promotion', 'withdraw', second.id)).toMatch(/^withdrawn: promotion of/)
  const list = ['promotion', 'list', '--model', 'ranker']
  const rejected = await people.ok('ci', ...list, '--state', 'REJECTED')
  expect(rejected).toMatch(/rejected +0\/1 /)
  expect(rejected).not.toContain(second.id)
  const { promotions } = await people.json<{ promotions: { id: string; state: string }[] }>('ci', ...list)
  expect(promotions.map(({ id, state }) => [id, state])).toEqual([
    [second.id, 'PROMOTION_STATE_WITHDRAWN'],
    [first.id, 'PROMOTION_STATE_REJECTED'],
  ])
  await server.ok('gate', 'update', 'ranker-two', '--approver', 'zoe')
  const third = await people.json<{ id: string }>('ada', ...promote)
  const unasked = await people.run('bob', 'promotion', 'approve', third.id, '--reason', 'fine')
  expect(unasked.code).toBe(4)
  expect(unasked.err).toContain(`which approvers its gates require with: modelkeep promotion show ${third.id}`)
})

test('who of the voters counts is told where not all of them do', async () => {
  await pushTwo('counted')
  for (const name of ['eve', 'zoe']) await people.join(server, name, 'approver')
  const gate = ['gate', 'create', 'counted-three', '--model', 'counted', '--alias', 'production', '--approvals', '3']
  await server.ok(...gate)
  const promote = ['promote', 'counted:2', 'production', '--reason', 'try it']
  const { id } = await people.json<{ id: string }>('ada', ...promote)
  const yes = ['promotion', 'approve', id, '--reason', 'fine']
  await people.ok('eve', ...yes)
  await people.ok('zoe', ...yes)
  expect(await people.ok('ci', 'promotion', 'show', id)).not.toContain('COUNTS')
  expect((await people.run('zoe', ...yes)).err).toMatch(
    new RegExp(
      `already approved this promotion\n  See which approvals are missing with: modelkeep promotion show ${id}\n`,
    ),
  )
  await server.ok('role', 'revoke', 'eve')
  const shown = await people.ok('ci', 'promotion', 'show', id)
  expect(shown).toContain('… 1 of 3 approvals')
  expect(shown).toMatch(/ eve +yes +none: no longer an approver +fine\n.* zoe +yes +counted-three +fine\n/)
  expect(await people.ok('ci', 'promotion', 'list', '--model', 'counted')).toMatch(/pending +1\/3 /)
})

test('a push of what is there says so, and what it dropped, where a gate keeps its alias', async () => {
  const file = await server.write('kept.bin', Buffer.from('kept'))
  await people.ok('ci', 'push', file, 'kept', '--metric', 'f1=0.9')
  await server.ok('gate', 'create', 'kept-two', '--model', 'kept', '--alias', 'production', '--approvals', '1')
  const again = await people.run('ci', 'push', file, 'kept', '--metric', 'f1=0.99', '--alias', 'production')
  expect(again.code).toBe(8)
  expect(again.err).toMatch(
    /^already registered as default\/kept:1, but alias production was not set\nThe given facts .* were ignored/,
  )
})

test('the log of a model has its gates and those of the whole namespace, and says why promotions end', async () => {
  await server.ok('namespace', 'create', 'guarded')
  for (const model of ['one', 'other']) {
    const file = await server.write(`${model}.bin`, Buffer.from(model))
    await server.ok('push', file, `guarded/${model}`)
    const create = ['gate', 'create', `of-${model}`, '--model', `guarded/${model}`]
    await server.ok('-n', 'guarded', ...create, '--alias', 'production', '--approvals', '1')
  }
  await server.ok('-n', 'guarded', 'gate', 'create', 'of-all', '--alias', 'prod*', '--approvals', '1')
  await server.run('promote', 'guarded/one:1', 'production', '--reason', 'try')
  await server.ok('-n', 'guarded', 'gate', 'update', 'of-one', '--approvals', '2')
  await server.ok('-n', 'guarded', 'gate', 'delete', 'of-all', '--yes')
  await vi.waitFor(async () => {
    const log = await server.ok('log', 'guarded/one')
    expect(log).toMatch(/model created +guarded\/one\n/)
    expect(log).toMatch(/gate created +guarded\/of-one\n/)
    expect(log).toMatch(/gate created +guarded\/of-all\n/)
    expect(log).toMatch(/gate updated +guarded\/of-one\n/)
    expect(log).toMatch(/gate deleted +guarded\/of-all\n/)
    expect(log).toMatch(/promotion voided → 1: gate changed +guarded\/one@production/)
    expect(log).not.toContain('other')
  }, PATIENCE)
  const gate = await server.run('log', 'guarded/of-all')
  expect(gate.code).toBe(3)
  expect(gate.err).toMatch(/^modelkeep: guarded\/of-all is a gate, not a model\n/)
  const filter = 'resource.type = "gate" AND resource.name = "guarded/of-all"'
  expect(gate.err).toContain(`modelkeep log --filter '${filter}'`)
  expect(await server.ok('log', '--filter', filter)).toMatch(/gate created .*\n.* gate deleted /)
  expect((await server.run('log', 'guarded/nothing')).err).toContain('no log entries for guarded/nothing')
})

test('values of an event are erased for ever, and only by who says so', async () => {
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

test('evaluations are listed and shown, with the digest of a report', async () => {
  await pushTwo('measured')
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

test('rules go out as JSON and come back from a file, and are remembered', async () => {
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

test('rules can be tried before they are a gate, and where nothing guards an alias it moves at once', async () => {
  await pushTwo('free')
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
])('wrong use says %s: %j', async (message, args) => {
  const { code, err, out } = await server.run(...args)
  expect(err).toContain(message)
  expect([code, out]).toEqual([2, ''])
})

test.each([
  ['promotion list', ['promotion', 'show', '01900000-0000-7000-8000-000000000000']],
  ['evaluation list', ['evaluation', 'show', '01900000-0000-7000-8000-000000000000']],
  ['gate list', ['gate', 'show', 'nothing']],
  ['modelkeep list', ['promote', 'nowhere:1', 'production', '--reason', 'x']],
])('what is not there leads to %s', async (hint, args) => {
  const { code, err } = await server.run(...args)
  expect(err).toContain(hint)
  expect(code).toBe(3)
})

test('completion knows the new commands', async () => {
  const script = await server.ok('completion', 'bash')
  for (const words of [
    "'gate create') words='--model --alias",
    "'promotion') words='request list show approve reject",
  ]) {
    expect(script).toContain(words)
  }
})
