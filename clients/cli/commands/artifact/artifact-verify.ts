// The command artifact verify lets the server verify stored bytes.
import { Verdict, VerdictSchema } from '#gen/modelkeep/artifact/v1/maintenance_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { CliError } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { bytes, table, word } from '../../terminal/output.ts'
import { retry } from '../../connection/retry.ts'
import { findFiles, type StoredFile } from './artifact-files.ts'

interface Verified extends StoredFile {
  verdict: Verdict
  sizeBytes: bigint
}

export async function verifyArtifact(context: Context, text: string): Promise<void> {
  const { output } = context
  const verified: Verified[] = []
  for (const file of await findFiles(context, text)) verified.push(await verifyFile(context, file))
  const wrong = verified.filter(({ verdict }) => verdict !== Verdict.RIGHT)
  if (output.json) {
    output.document({
      files: verified.map(({ path, namespace, digest, verdict, sizeBytes }) => {
        return { path, namespace, digest, sizeBytes: String(sizeBytes), verdict: VerdictSchema.value[verdict]!.name }
      }),
    })
  } else {
    const rows = verified.map((file) => [
      word(VerdictSchema, file.verdict),
      bytes(file.sizeBytes),
      file.digest,
      file.path,
    ])
    output.write(table(['STATE', 'SIZE', 'DIGEST', 'FILE'], rows))
  }
  if (wrong.length === 0) return
  throw new CliError(
    'integrity',
    `${wrong.length} of ${verified.length} files are damaged or missing and are not served`,
    {
      hint: 'Push the same bytes again to repair them.',
    },
  )
}

async function verifyFile(context: Context, file: StoredFile): Promise<Verified> {
  const { namespace, digest } = file
  const { signal } = context
  return retry({ signal }, async () => {
    for await (const { verdict, blob } of context
      .registry()
      .artifact(MaintenanceService)
      .verifyBlob({ namespace, digest }, { signal })) {
      if (verdict !== Verdict.UNSPECIFIED) return { ...file, verdict, sizeBytes: blob?.sizeBytes ?? 0n }
    }
    throw new CliError('failed', `server returned no verdict on ${digest}`)
  })
}
