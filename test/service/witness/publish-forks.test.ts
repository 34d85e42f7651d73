// Forks that witnesses detect, replicas that race, and changes of the signing key.
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { ProofService, Quorum } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { findVerifier, formatVerifierKey, KEY_TYPE, openNoteWithAny } from '#lib/tlog/note.ts'
import { verifyFile, verifyFiles } from '../../../clients/verifier/verify-file.ts'
import type { Trust } from '../../../clients/verifier/open-checkpoint.ts'
import type { VerifierError } from '../../../clients/verifier/verifier-error.ts'
import { createSigner } from '../../../services/audit/signer.ts'
import { makeSigner, PLATFORM_TOKEN } from '../../support/audit.ts'
import { runCli } from '../../support/cli.ts'
import { runSql } from '../../support/database.ts'
import { makeKey } from '../../support/witness.ts'
import {
  append,
  closeLast,
  copyOf,
  cosigningBy,
  freshDatabase,
  prepareHome,
  published,
  serveFakeWitness,
  start,
  witnessOf,
} from '../../support/witnessed-log.ts'

const home = await prepareHome()

test.each([3, 0])(
  'does not sign a backup of %i entries when a witness has seen more, even without a state file',
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

test('a witness that claims a larger size stops signing until it is removed from the policy', async () => {
  const url = await freshDatabase()
  const signer = makeSigner()
  const liar = {
    url: await serveFakeWitness((_request, response) => response.writeHead(409).end('1000\n')),
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

test('a witness rejects a fork that was signed during its outage, and signing stops', async () => {
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

test("replicas that race cosign each other's checkpoints, and publish the last one", async () => {
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

test('both keys sign during a change of keys, and exports verify with either key', async () => {
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
    // Checkpoints signed by the old key are still served with its signature.
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
