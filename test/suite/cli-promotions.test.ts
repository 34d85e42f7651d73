// Promotions with the `modelkeep` command on a real standalone server, by several people.
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { People } from '../support/people.ts'
import { StandaloneHome } from '../support/standalone-home.ts'

/** Events reach the log with a short delay. */
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

test('a promotion moves the alias when its gate is met and another person approves', { timeout: 120_000 }, async () => {
  await people.pushTwo(server, 'scorer')
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

test('a promotion can be rejected or withdrawn', async () => {
  await people.pushTwo(server, 'ranker')
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

test('shows which votes count if not all of them do', async () => {
  await people.pushTwo(server, 'counted')
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

test('a repeated push reports ignored facts and an alias that a gate guards', async () => {
  const file = await server.write('kept.bin', Buffer.from('kept'))
  await people.ok('ci', 'push', file, 'kept', '--metric', 'f1=0.9')
  await server.ok('gate', 'create', 'kept-two', '--model', 'kept', '--alias', 'production', '--approvals', '1')
  const again = await people.run('ci', 'push', file, 'kept', '--metric', 'f1=0.99', '--alias', 'production')
  expect(again.code).toBe(8)
  expect(again.err).toMatch(
    /^already registered as default\/kept:1, but alias production was not set\nThe given facts .* were ignored/,
  )
})

test('the log of a model includes its gates, those of its namespace, and why promotions end', async () => {
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
