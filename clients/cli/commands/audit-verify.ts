// audit verify: checks an export or a proof against a public key. Needs no server.
import { createReadStream } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { findVerifier, type Verifier } from '#lib/note.ts'
import { PROOF_HEADER } from '#lib/tlog-proof.ts'
import { Tampered, Unusable } from '../audit/verdict.ts'
import { verifyExport } from '../audit/verify-export.ts'
import { verifyProof } from '../audit/verify-proof.ts'
import { Complaint, complainUsage } from '../complaint.ts'
import type { Context } from '../context.ts'

const CHUNK_BYTES = 1024 * 1024

export async function verify(context: Context, file: string, options: { key: string }): Promise<void> {
  const verifier = await readKey(options.key)
  try {
    if (await isProof(file)) await checkProof(context, file, verifier)
    else await checkExport(context, file, verifier)
  } catch (error) {
    if (error instanceof Tampered) {
      throw new Complaint('integrity', `${file}: ${error.message}`, { reason: 'TAMPERED', cause: error })
    }
    if (error instanceof Unusable) complainUsage(`${file} cannot be used: ${error.message}`)
    if ((error as NodeJS.ErrnoException).syscall) complainUsage(`${file} cannot be read: ${(error as Error).message}`)
    throw error
  }
}

/** A public key as text, or a file that holds one. */
export async function readKey(key: string): Promise<Verifier> {
  const text = findVerifier(key) ? key : await readFile(key, 'utf8').catch(() => '')
  const verifier = findVerifier(text)
  if (!verifier) {
    complainUsage(`--key «${key}» is neither a public key nor a file with one`, 'It looks like name+12345678+AZ…=')
  }
  return verifier
}

async function isProof(file: string): Promise<boolean> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(PROOF_HEADER.length), 0, PROOF_HEADER.length, 0)
    return buffer.toString('latin1', 0, bytesRead) === PROOF_HEADER
  } finally {
    await handle.close()
  }
}

async function checkExport(context: Context, file: string, verifier: Verifier): Promise<void> {
  const chunks = createReadStream(file, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>
  const { checkpoint, producers } = await verifyExport(chunks, verifier)
  const root = checkpoint.root.toString('base64')
  if (context.output.json) {
    const counts = Object.fromEntries([...producers].map(([name, sequence]) => [name, String(sequence)]))
    return context.output.document({
      origin: checkpoint.origin,
      size: String(checkpoint.size),
      root,
      producers: counts,
    })
  }
  const counts = [...producers].map(([name, sequence]) => `${name} ${sequence}`).join(', ')
  context.output.write(`verified: ${checkpoint.size} entries of ${checkpoint.origin}, root ${root}`)
  context.output.write(`events without a gap: ${counts}`)
}

async function checkProof(context: Context, file: string, verifier: Verifier): Promise<void> {
  const leafFile = file.replace(/(\.tlog-proof)?$/, '.json')
  const leaf = await readFile(leafFile)
  const { index, checkpoint } = verifyProof(await readFile(file, 'utf8'), leaf, verifier)
  const { origin, size } = checkpoint
  if (context.output.json) return context.output.document({ origin, index: String(index), size: String(size) })
  context.output.write(`verified: ${leafFile} is entry ${index} of the ${size} entries of ${origin}`)
}
