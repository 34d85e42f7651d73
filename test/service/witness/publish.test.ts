// Published checkpoints: the cosignatures they carry, and the quorum of witnesses.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { Quorum } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { cosign, findCosignature } from '#lib/tlog/cosignature.ts'
import { findVerifier, formatVerifierKey, KEY_TYPE, splitNote } from '#lib/tlog/note.ts'
import { checkPolicy } from '#lib/tlog/policy.ts'
import { makeSigner, PLATFORM_TOKEN } from '../../support/audit.ts'
import { runCli } from '../../support/cli.ts'
import { runSql } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'
import { makeKey } from '../../support/witness.ts'
import {
  append,
  closeLast,
  cosigningBy,
  freshDatabase,
  prepareHome,
  published,
  serveFakeWitness,
  start,
  witnessOf,
} from '../../support/witnessed-log.ts'

const home = await prepareHome()

test('published checkpoints carry the cosignatures of all witnesses in every response', async () => {
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
    headers: { authorization: `Bearer ${PLATFORM_TOKEN}` },
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

test('logs a missing quorum while a witness is down, and reaches it when the witness returns', async () => {
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

test('with withhold, publishes nothing without a quorum, and signs nothing before a quorum has responded', async () => {
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
] as const)('ignores a witness that is %s, and publishes with the others', async (kind, needed, trouble) => {
  const signer = makeSigner()
  const key = makeKey()
  const name = 'witness.example/liar'
  let requests = 0
  let replayed: string | undefined
  const url = await serveFakeWitness(async (request, response) => {
    let body = ''
    for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString()
    requests += 1
    const text = splitNote(body.slice(body.indexOf('\n\n') + 2))!.text
    const now = BigInt(Math.floor(Date.now() / 1000))
    replayed ??= cosign('log.example/test\n1\nAAAA\n', name, key, now)
    const answers: Record<typeof kind, () => unknown> = {
      slow: () => undefined,
      'lying about the signature': () => response.end(cosign(`${text}x`, name, key, now)),
      'signing with another key': () => response.end(cosign(text, name, makeKey(), now)),
      'replaying what it signed before': () => response.end(replayed),
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
  expect(requests).toBeGreaterThan(0)
  if (trouble) await vi.waitFor(() => expect(logs.join()).toContain(trouble), 20_000)
})
