// The key that signs the log's checkpoints, in files of the data directory.
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { ConfigError } from '#lib/process/env.ts'
import { findSigningKey } from '#lib/process/signing-key.ts'
import { createSigner, type Signer } from '../audit/signer.ts'
import { replaceFile, type DataDirectory } from './data-directory.ts'

/** Creates the key where there is none. The log is named after its key, so that names of logs are unique. Throws ConfigError
 * where the file is not a key. */
export function prepareAuditKey({ auditKey, auditVkey, auditCheckpoint }: DataDirectory): Signer {
  if (!existsSync(auditKey)) {
    const { privateKey } = generateKeyPairSync('ed25519')
    replaceFile(auditKey, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), 0o600)
  }
  const key = findSigningKey(readFileSync(auditKey, 'utf8'))
  if (!key) throw new ConfigError([`${auditKey} is not an Ed25519 private key; restore it from a backup`])
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const name = createHash('sha256').update(spki).digest('hex').slice(0, 12)
  const signer = createSigner(`modelkeep.localhost/${name}`, [key], auditCheckpoint)
  replaceFile(auditVkey, `${signer.vkey}\n`, 0o644)
  return signer
}
