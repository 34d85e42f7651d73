// audit verify and audit consistency: check files against a public key. They need no server.
import { verifyFile, verifyFiles, type Report } from '../../../verifier/verify-file.ts'
import { readTrust, type TrustOptions } from '../../../verifier/read-trust.ts'
import type { Context } from '../../context.ts'

export async function verify(context: Context, file: string, options: TrustOptions): Promise<void> {
  tell(context, await verifyFile(file, await readTrust(options)))
}

export async function consistency(
  context: Context,
  oldFile: string,
  newFile: string,
  options: TrustOptions,
): Promise<void> {
  tell(context, await verifyFiles(oldFile, newFile, await readTrust(options)))
}

export function tell({ output }: Context, { lines, document }: Report): void {
  if (output.json) return output.document(document)
  for (const line of lines) output.write(line)
}
