// The command audit proof writes the proof of an event, and the event itself.
import { rm, writeFile } from 'node:fs/promises'
import { ProofService, type GetProofBundleResponse } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { findProof } from '#lib/tlog/proof-file.ts'
import type { Context } from '../../context.ts'
import { unary } from '../../connection/registry.ts'
import { openingLines } from './audit-export.ts'
import { whenPublished } from './published.ts'

/** Writes the proof to `NAME.tlog-proof`, the leaf to `NAME.json`, and its private values to `NAME.values`. */
export async function proveEvent(context: Context, eventId: string, options: { out?: string }): Promise<void> {
  const registry = context.registry()
  const request = { entry: { case: 'eventId' as const, value: eventId } }
  const bundle = await whenPublished(() => registry.audit(ProofService).getProofBundle(request, unary(registry)))
  const name = (options.out ?? eventId).replace(/\.tlog-proof$/, '')
  const [proof, leaf] = [`${name}.tlog-proof`, `${name}.json`]
  await writeFile(proof, bundle.proof)
  await writeFile(leaf, bundle.leaf)
  const files = { proof, leaf, ...(await writeValues(name, bundle)) }
  if (context.output.json) return context.output.document(files)
  context.output.write(`wrote ${Object.values(files).join(', ')}`)
  context.note(`Verify it anywhere with: modelkeep audit verify ${proof} --key <the log's public key>`)
}

async function writeValues(name: string, { proof, openings }: GetProofBundleResponse): Promise<{ values?: string }> {
  const values = `${name}.values`
  await rm(values, { force: true })
  if (openings.length === 0) return {}
  const lines = openingLines(Number(findProof(proof)!.index), openings)
  await writeFile(values, `${lines.join('\n')}\n`, { mode: 0o600 })
  return { values }
}
