// The audit service and its witnesses: checkpoints that are cosigned, kept back, or refused.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, inject, test, vi } from 'vitest'
import { ProofService, Quorum } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { cosign, findCosignature } from '#lib/tlog/cosignature.ts'
import { findVerifier, formatVerifierKey, KEY_TYPE, openNoteWithAny, splitNote } from '#lib/tlog/note.ts'
import { checkPolicy, parsePolicy } from '#lib/tlog/policy.ts'
import type { Cosigning } from '../../../services/audit/witnesses/cosigning.ts'
import { verifyFile, verifyFiles } from '../../../clients/verifier/verify-file.ts'
import type { Trust } from '../../../clients/verifier/open-checkpoint.ts'
import type { VerifierError } from '../../../clients/verifier/verifier-error.ts'
import { createSigner } from '../../../services/audit/signer.ts'
import { makeEvents, makeSigner, PLATFORM_TOKEN, startAudit, type RunningAudit } from '../../support/audit.ts'
import { runCli } from '../../support/cli.ts'
import { closeSql, createDatabase, runSql } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'
import { makeKey, startWitness, type RunningWitness } from '../../support/witness.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })

const home = await mkdtemp(join(tmpdir(), 'modelkeep-publish-'))
const undo: (() => Promise<unknown>)[] = []
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})
afterAll(async () => {
  await Promise.all(undo.map((step) => step()))
  await rm(home, { recursive: true, force: true })
})

async function freshDatabase(): Promise<string> {
  const database = await createDatabase()
  undo.push(() => database.drop())
  return database.url
}

async function witnessOf(vkeys: string[], init: Parameters<typeof startWitness>[0] = {}): Promise<RunningWitness> {
  const witness = await startWitness({ vkeys, ...init })
  closing.push(() => witness.close())
  undo.push(() => rm(witness.directory, { recursive: true, force: true }))
  return witness
}

/** Something else at a witness's address. */
async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

type Seat = Pick<RunningWitness, 'vkey' | 'url'>
function cosigningBy(seats: Seat[], needed: number | 'all' | 'any' = 'all', withhold = false): Cosigning {
  const lines = seats.map(({ vkey, url }, at) => `witness w${at} ${vkey} ${url}`)
  const group = `group g ${needed} ${seats.map((_seat, at) => `w${at}`).join(' ')}`
  return { policy: parsePolicy([...lines, group, 'quorum g'].join('\n')), timeoutMs: 500, withhold }
}

async function start(url: string, options: Parameters<typeof startAudit>[1]): Promise<RunningAudit> {
  const audit = await startAudit(url, options)
  closing.push(() => audit.close())
  return audit
}
const closeLast = async () => void (await closing.pop()!())

const append = (audit: RunningAudit, first: number, count: number) =>
  audit.ingest.appendEvents({ events: makeEvents(first, count) })

const published = (audit: RunningAudit, size: number) =>
  vi.waitFor(async () => (await audit.proofs.getCheckpoint({ minSize: BigInt(size) })).checkpoint!, 20_000)

test('checkpoints carry the cosignatures of all witnesses wherever they are served', async () => {
  const signer = makeSigner()
  const witnesses = [await witnessOf([signer.vkey]), await witnessOf([signer.vkey], { name: 'witness.example/w2' })]
  const cosigning = cosigningBy(witnesses)
  const audit = await start(await freshDatabase(), { signer, cosigning })
  for (const [first, count] of [
    [1, 3],
    [4, 1],
    [5, 250],
  ] as const) {
    await append(audit, first, count)
    const checkpoint = await published(audit, first + count - 1)
    expect([checkpoint.quorum, checkPolicy(checkpoint.note, cosigning.policy).isQuorum]).toEqual([Quorum.MET, true])
  }
  const { checkpoint } = await audit.proofs.getCheckpoint({})
  const plain = await fetch(`${audit.address}/checkpoint`, {
    headers: { authorization: `ValueOwner ${PLATFORM_TOKEN}` },
  })
  expect(await plain.text()).toBe(checkpoint!.note)
  expect((await audit.proofs.getProofBundle({ entry: { case: 'index', value: 2n } })).proof).toContain(checkpoint!.note)
  for await (const { checkpoint: exported } of audit.proofs.exportEntries({})) {
    expect(exported!.note).toBe(checkpoint!.note)
    break
  }
  const note = witnesses[0]!.witness.state.read(signer.origin).note!
  expect(splitNote(note)!.text).toBe(splitNote(checkpoint!.note)!.text)

  const policy = join(home, 'policy')
  const lines = witnesses.map(({ vkey }, at) => `witness w${at} ${vkey}\n`).join('')
  await writeFile(policy, `log ${signer.vkey}\n${lines}group g all w0 w1\nquorum g\n`)
  const modelkeep = (...args: string[]) =>
    runCli(['audit', ...args], { MODELKEEP_ADDRESS: audit.address, MODELKEEP_TOKEN: PLATFORM_TOKEN }, home)
  expect((await modelkeep('export', 'log.jsonl')).code).toBe(0)
  expect(await modelkeep('verify', 'log.jsonl', '--policy', policy)).toMatchObject({ code: 0 })
  const third = formatVerifierKey('witness.example/w3', makeKey(), KEY_TYPE.cosignature)
  await writeFile(policy, `log ${signer.vkey}\n${lines}witness w3 ${third}\ngroup g all w0 w1 w3\nquorum g\n`)
  expect(await modelkeep('verify', 'log.jsonl', '--policy', policy)).toMatchObject({ code: 8 })
  expect(await modelkeep('checkpoint', '--policy', policy)).toMatchObject({ code: 8 })
})

test('a witness that is down costs the quorum, which is told, and comes late when it is back', async () => {
  const signer = makeSigner()
  const down = await witnessOf([signer.vkey])
  await closeLast()
  const up = await witnessOf([signer.vkey], { name: 'witness.example/up' })
  const logs: string[] = []
  const audit = await start(await freshDatabase(), { signer, cosigning: cosigningBy([up, down]), logs })
  await append(audit, 1, 3)
  const checkpoint = await published(audit, 3)
  expect(checkpoint.quorum).toBe(Quorum.UNMET)
  expect(findCosignature(checkpoint.note, up.cosigner)).toBeDefined()
  expect(logs.join()).toContain('newest checkpoint lacks a quorum of cosignatures: published without a quorum')
  const port = Number(new URL(down.url).port)
  const { witness } = await witnessOf([signer.vkey], { directory: down.directory, key: down.witness.key, port })
  await expect.poll(async () => (await audit.proofs.getCheckpoint({})).checkpoint!.quorum).toBe(Quorum.MET)
  expect(findCosignature((await audit.proofs.getCheckpoint({})).checkpoint!.note, witness.cosigner)).toBeDefined()
  expect(logs.join()).toContain('quorum of witnesses is restored')
})

test('set to withhold, it publishes nothing without a quorum, and signs nothing before one has answered', async () => {
  const signer = makeSigner()
  const url = await freshDatabase()
  const witness = await witnessOf([signer.vkey])
  const deaf = { vkey: formatVerifierKey('w', makeKey(), KEY_TYPE.cosignature), url: 'http://127.0.0.1:9' }
  const logs: string[] = []
  const withheld = await start(url, { signer, cosigning: cosigningBy([witness, deaf], 'all', true), logs })
  await append(withheld, 1, 3)
  await vi.waitFor(() => expect(logs.join()).toContain('quorum of witnesses has not answered yet'), 20_000)
  expect(await refusalOf(withheld.proofs.getCheckpoint({}))).toMatchObject({ reason: 'CHECKPOINT_NOT_FOUND' })
  expect(await runSql(url, 'select from audit.checkpoint')).toHaveLength(0)
  await closeLast()
  const audit = await start(url, { signer, cosigning: cosigningBy([witness], 'all', true) })
  expect((await published(audit, 3)).quorum).toBe(Quorum.MET)
})

test.each([
  ['slow', 'any', undefined],
  ['lying about the signature', 'any', 'cosignature does not match the checkpoint'],
  ['signing with another key', 'any', "response has no cosignature by the witness's key"],
  ['replaying what it signed before', 'any', 'cosignature does not match the checkpoint'],
  ['replaying what it signed long ago', 'any', 'cosignature time is off by'],
  ['silent about it', 'any', "response has no cosignature by the witness's key"],
  ['talking without end', 'any', 'response exceeds'],
  ['redirecting', 'any', 'fetch failed'],
  ['broken', 'any', 'witness responded with status 500'],
  ['knowing nothing', 'any', 'witness reports 0 entries but rejects every checkpoint'],
] as const)(
  'a witness that is %s counts for nothing, and keeps nobody from the others',
  async (kind, needed, trouble) => {
    const signer = makeSigner()
    const key = makeKey()
    const name = 'witness.example/liar'
    let asked = 0
    let first: string | undefined
    const url = await answering(async (request, response) => {
      let body = ''
      for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString()
      asked += 1
      const text = splitNote(body.slice(body.indexOf('\n\n') + 2))!.text
      const now = BigInt(Math.floor(Date.now() / 1000))
      first ??= cosign('log.example/test\n1\nAAAA\n', name, key, now)
      const answers: Record<typeof kind, () => unknown> = {
        slow: () => undefined,
        'lying about the signature': () => response.end(cosign(`${text}x`, name, key, now)),
        'signing with another key': () => response.end(cosign(text, name, makeKey(), now)),
        'replaying what it signed before': () => response.end(first),
        'replaying what it signed long ago': () => response.end(cosign(text, name, key, now - 100_000n)),
        'silent about it': () => response.end('\n'),
        'talking without end': () => response.end('x'.repeat(1_000_000)),
        redirecting: () => response.writeHead(307, { location: '/elsewhere' }).end(),
        broken: () => response.writeHead(500).end('no'),
        'knowing nothing': () => response.writeHead(409).end('0\n'),
      }
      answers[kind]()
    })
    const liar = { url, vkey: formatVerifierKey(name, key, KEY_TYPE.cosignature) }
    const good = await witnessOf([signer.vkey])
    const logs: string[] = []
    const audit = await start(await freshDatabase(), { signer, cosigning: cosigningBy([liar, good], needed), logs })
    for (const first of [1, 4]) {
      await append(audit, first, 3)
      const { note, quorum } = await published(audit, first + 2)
      expect(quorum).toBe(Quorum.MET)
      expect(findCosignature(note, findVerifier(liar.vkey, KEY_TYPE.cosignature)!)).toBeUndefined()
      expect(findCosignature(note, good.cosigner)).toBeDefined()
    }
    expect(asked).toBeGreaterThan(0)
    if (trouble) await vi.waitFor(() => expect(logs.join()).toContain(trouble), 20_000)
  },
)

/** As it was when nobody was connected. */
async function copyOf(url: string): Promise<string> {
  const { pathname } = new URL(url)
  const name = `${pathname.slice(1)}_copy`
  await closeSql(url)
  await runSql(inject('postgresUrl'), `create database ${name} template ${pathname.slice(1)}`)
  undo.push(() => runSql(inject('postgresUrl'), `drop database ${name} with (force)`))
  const copy = new URL(url)
  copy.pathname = name
  return copy.href
}

test.each([3, 0])(
  'a backup of %i entries is not signed where a witness saw more, without any state file',
  async (size) => {
    const url = await freshDatabase()
    const signer = makeSigner()
    const witness = await witnessOf([signer.vkey])
    const cosigning = cosigningBy([witness])
    if (size > 0) {
      await append(await start(url, { signer, cosigning }), 1, size)
      await closeLast()
    }
    const backup = await copyOf(url)
    const after = await start(url, { signer, cosigning })
    await append(after, size + 1, 7)
    await published(after, size + 7)
    await closeLast()

    const logs: string[] = []
    const restored = await start(backup, { signer, cosigning, logs })
    await append(restored, size + 1, 20)
    const message = `has cosigned a checkpoint of ${size + 7} entries, but the newest one stored here has ${size}`
    await vi.waitFor(() => expect(logs.join()).toContain(message), 20_000)
    expect(logs.join()).toContain('Restore the database to its newest state')
    expect(await runSql(backup, 'select from audit.checkpoint where size > ?', [size])).toHaveLength(0)
    expect((await fetch(`${restored.address}/healthz`)).status).toBe(200)
    await append(restored, size + 21, 5)
    await closeLast()
    expect(await runSql(backup, 'select from audit.checkpoint where size > ?', [size])).toHaveLength(0)
    expect(witness.witness.state.read(signer.origin).checkpoint!.size).toBe(BigInt(size + 7))
  },
)

test('a witness that claims to have seen more stops the signing, until it is taken out of the policy', async () => {
  const url = await freshDatabase()
  const signer = makeSigner()
  const liar = {
    url: await answering((_request, response) => response.writeHead(409).end('1000\n')),
    vkey: formatVerifierKey('w', makeKey(), KEY_TYPE.cosignature),
  }
  const logs: string[] = []
  const stopped = await start(url, { signer, cosigning: cosigningBy([liar], 'any'), logs })
  await append(stopped, 1, 3)
  await vi.waitFor(() => expect(logs.join()).toContain('If the witness is wrong, remove it from the policy'), 20_000)
  await closeLast()
  const audit = await start(url, { signer, cosigning: cosigningBy([await witnessOf([signer.vkey])]) })
  expect((await published(audit, 3)).quorum).toBe(Quorum.MET)
})

test('a fork that was signed while the witness was away is refused by it, and ends the signing', async () => {
  const url = await freshDatabase()
  const signer = makeSigner()
  const witness = await witnessOf([signer.vkey])
  const cosigning = cosigningBy([witness])
  const backup = await copyOf(url)
  await append(await start(url, { signer, cosigning }), 1, 5)
  await closeLast()
  const blind = await start(backup, { signer })
  await append(blind, 1, 9)
  await published(blind, 9)
  await closeLast()
  const logs: string[] = []
  const forked = await start(backup, { signer, cosigning, logs })
  await append(forked, 10, 1)
  await vi.waitFor(() => expect(logs.join()).toContain('rejects the log of 9 entries: it does not extend the 5'), 5_000)
  expect(witness.logs.join()).toContain('the proof does not show that it extends the log')
  expect((await forked.proofs.getCheckpoint({})).checkpoint!.size).toBe(9n)
})

test('replicas that race have one another’s checkpoints cosigned, and none is left behind', async () => {
  const url = await freshDatabase()
  const key = makeKey()
  const signers = [
    createSigner('log.example/race', [key], undefined),
    createSigner('log.example/race', [key], undefined),
  ]
  const witness = await witnessOf([signers[0]!.vkey])
  const cosigning = cosigningBy([witness])
  const logs: string[] = []
  const replicas = [
    await start(url, { signer: signers[0]!, cosigning, logs }),
    await start(url, { signer: signers[1]!, cosigning, logs }),
  ]
  for (let batch = 0; batch < 30; batch += 1) {
    await append(replicas[batch % 2]!, 1 + batch * 5, 5)
    if (batch % 10 === 9) await published(replicas[1 - (batch % 2)]!, (batch + 1) * 5)
  }
  await expect
    .poll(async () => (await replicas[0]!.proofs.getCheckpoint({})).checkpoint)
    .toMatchObject({
      size: 150n,
      quorum: Quorum.MET,
    })
  expect(logs.join()).not.toContain('checkpoint signing refused')
  expect(witness.logs.join()).not.toContain('does not show that it extends')
})

test('while the log changes its key, both keys sign; old and new exports hold for who knows either', async () => {
  const url = await freshDatabase()
  const [old, fresh] = [makeKey(), makeKey()]
  const origin = 'log.example/rotation'
  const signerOf = (...keys: (typeof old)[]) => createSigner(origin, keys, join(home, 'rotation'))
  const [before, during, after] = [signerOf(old), signerOf(old, fresh), signerOf(fresh)]
  const witness = await witnessOf(during.vkeys)
  const cosigning = cosigningBy([witness])
  const exported: string[] = []
  for (const [at, signer] of [before, during, after].entries()) {
    const audit = await start(url, { signer, cosigning })
    await append(audit, 1 + at * 3, 3)
    const { note } = await published(audit, 3 + at * 3)
    const signedBy = [old, fresh].map((key) => {
      const verifier = findVerifier(formatVerifierKey(origin, key))!
      return openNoteWithAny(note, [verifier]) !== undefined
    })
    expect(signedBy).toEqual([signer !== after, signer !== before])
    const file = join(home, `rotation-${at}.jsonl`)
    const settings = { MODELKEEP_ADDRESS: audit.address, MODELKEEP_TOKEN: PLATFORM_TOKEN }
    expect((await runCli(['audit', 'export', file], settings, home)).code).toBe(0)
    exported.push(file)
    // What the old key has signed is still given, with its signature.
    const stream = audit.client(ProofService, PLATFORM_TOKEN).exportEntries({ treeSize: 3n })
    for await (const { checkpoint } of stream) {
      if (checkpoint) expect(openNoteWithAny(checkpoint.note, [findVerifier(before.vkey)!])).toBeDefined()
    }
    await closeLast()
  }
  const verify = (file: string, ...vkeys: string[]) =>
    verifyFile(file, trusting(...vkeys)).then(
      () => 'verified',
      (error: VerifierError) => error.exit,
    )
  const verdicts = (...vkeys: string[]) => Promise.all(exported.map((file) => verify(file, ...vkeys)))
  expect(await verdicts(before.vkey)).toEqual(['verified', 'verified', 'integrity'])
  expect(await verdicts(after.vkey)).toEqual(['integrity', 'verified', 'verified'])
  expect(await verdicts(...during.vkeys)).toEqual(['verified', 'verified', 'verified'])
  const { lines } = await verifyFiles(exported[0]!, exported[2]!, trusting(...during.vkeys))
  expect(lines[0]).toContain('consistent: the 9 entries')
})

function trusting(...vkeys: string[]): Trust {
  const keys = vkeys.map((vkey) => findVerifier(vkey)!)
  return { name: keys[0]!.name, keys, policy: undefined }
}
