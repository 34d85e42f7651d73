// Writes deploy/.env with fresh secrets for compose.yaml: node deploy/make-env.mjs > deploy/.env
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'

const password = () => randomBytes(24).toString('hex')
const hash = (token) => createHash('sha256').update(token).digest('hex')
const tokens = Object.fromEntries(
  ['metadata', 'artifact', 'audit'].map((name) => [name, `mks_${randomBytes(32).toString('base64url')}`]),
)

console.log(`POSTGRES_PASSWORD=${password()}
S3_ACCESS_KEY=modelkeep
S3_SECRET_KEY=${password()}
AUDIT_KEY=${generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')}`)
for (const [name, token] of Object.entries(tokens)) {
  console.log(`${name.toUpperCase()}_TOKEN=${token}`)
  console.log(`${name.toUpperCase()}_TOKEN_SHA256=${hash(token)}`)
}
