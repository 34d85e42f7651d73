// Generates the secrets of compose.yaml: node deploy/make-env.mjs > deploy/.env
import { createHash, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'

const password = () => randomBytes(24).toString('hex')
const hash = (token) => createHash('sha256').update(token).digest('hex')
const tokens = Object.fromEntries(
  ['metadata', 'artifact', 'audit'].map((name) => [name, `mks_${randomBytes(32).toString('base64url')}`]),
)

const [auditKey, witnessKey] = [1, 2].map(() => generateKeyPairSync('ed25519').privateKey)
const encode = (key) => key.export({ format: 'der', type: 'pkcs8' }).toString('base64')
/** A public key in the form of c2sp.org/signed-note; type 1 signs notes, type 4 cosigns checkpoints. */
const vkey = (name, key, type) => {
  const typed = Buffer.concat([
    Buffer.of(type),
    createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32),
  ])
  const id = createHash('sha256').update(`${name}\n`).update(typed).digest('hex').slice(0, 8)
  return `${name}+${id}+${typed.toString('base64')}`
}

console.log(`POSTGRES_PASSWORD=${password()}
S3_ACCESS_KEY=modelkeep
S3_SECRET_KEY=${password()}
AUDIT_KEY=${encode(auditKey)}
AUDIT_VKEY=${vkey('modelkeep.localhost/compose', auditKey, 1)}
WITNESS_KEY=${encode(witnessKey)}
WITNESS_VKEY=${vkey('modelkeep.localhost/witness', witnessKey, 4)}`)
for (const [name, token] of Object.entries(tokens)) {
  console.log(`${name.toUpperCase()}_TOKEN=${token}`)
  console.log(`${name.toUpperCase()}_TOKEN_SHA256=${hash(token)}`)
}
