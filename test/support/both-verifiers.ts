// Verification of exports by the verifier in TypeScript and the one in Python.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findVerifier } from '#lib/tlog/note.ts'
import { EXIT, VerifierError } from '../../clients/verifier/verifier-error.ts'
import { verifyFile } from '../../clients/verifier/verify-file.ts'

const SCRIPT = `
import sys
sys.path.insert(0, 'clients/python')
import verify
for number in range(int(sys.argv[2])):
    print('code', verify.main([f'{sys.argv[1]}/{number}', sys.argv[3]]))`

/** Writes each export to a file in `home`, and verifies it with the verifiers in TypeScript and in Python. Returns the exit
 * codes of both, and the output of the former. */
export async function verifyByBoth(
  { home, vkey }: { home: string; vkey: string },
  texts: string[],
): Promise<{ codes: number[]; python: number[]; out: string[] }> {
  const trust = { name: 'log.example/test', keys: [findVerifier(vkey)!], policy: undefined }
  const found = { codes: [] as number[], out: [] as string[] }
  for (const [number, text] of texts.entries()) {
    const file = join(home, String(number))
    await writeFile(file, text)
    const report = await verifyFile(file, trust).catch((error: VerifierError) => error)
    found.codes.push(report instanceof VerifierError ? EXIT[report.exit] : 0)
    found.out.push(report instanceof VerifierError ? report.message : report.lines.join('\n'))
  }
  const { stdout } = await promisify(execFile)('python3', ['-B', '-c', SCRIPT, home, String(texts.length), vkey])
  return { ...found, python: [...stdout.matchAll(/^code (\d)$/gm)].map(([, code]) => Number(code)) }
}
