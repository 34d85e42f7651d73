// The commands audit verify and consistency verify files against a public key, without a server.
import { verifyFile, verifyFiles, type Report } from '../../../verifier/verify-file.ts'
import { readTrust, type TrustOptions } from '../../../verifier/read-trust.ts'
import type { Context } from '../../context.ts'

export async function verify(context: Context, file: string, options: TrustOptions): Promise<void> {
  printReport(context, await verifyFile(file, await readTrust(options)))
}

export async function consistency(
  context: Context,
  oldFile: string,
  newFile: string,
  options: TrustOptions,
): Promise<void> {
  printReport(context, await verifyFiles(oldFile, newFile, await readTrust(options)))
}

export function printReport({ output }: Context, { lines, document }: Report): void {
  if (output.json) return output.document(document)
  for (const line of lines) output.write(line)
}
