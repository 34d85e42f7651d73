// Verifies exports by several verifiers: node verifier-runner.ts CASES FOLDER…, where each folder has the files of a verifier.
// Prints the verdicts of each verifier.
import { readFileSync } from 'node:fs'
import { findVerifier } from '#lib/tlog/note.ts'
import { parsePolicy } from '#lib/tlog/policy.ts'

interface Case {
  /** The export in base64. */
  bytes: string
  vkey: string
  policy?: string
}

type Verify = typeof import('../../clients/verifier/verify-export.ts').verifyExport

async function* once(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes
}

async function verdictOf(verifyExport: Verify, { bytes, vkey, policy }: Case): Promise<string> {
  const key = findVerifier(vkey)!
  const trust = { name: key.name, keys: [key], policy: policy === undefined ? undefined : parsePolicy(policy) }
  try {
    await verifyExport(once(Buffer.from(bytes, 'base64')), trust)
    return 'verified'
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`
  }
}

const [, , casesFile = '', ...folders] = process.argv
const cases = JSON.parse(readFileSync(casesFile, 'utf8')) as Case[]
for (const folder of folders) {
  const { verifyExport } = (await import(`${folder}/verify-export.ts`)) as { verifyExport: Verify }
  const verdicts: string[] = []
  for (const one of cases) verdicts.push(await verdictOf(verifyExport, one))
  console.log(JSON.stringify(verdicts))
}
