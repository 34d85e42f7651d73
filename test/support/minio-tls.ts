// A MinIO server with TLS. This process trusts its certificate from the start of the server on.
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../services/standalone/postgres.ts'
import { goTool } from './go-tool.ts'
import { KEYS, launchMinio, stopChild, type MinioServer } from './minio-server.ts'

export interface TlsMinio extends MinioServer {
  /** Runs `work` while this process does not trust the certificate. */
  distrust(work: () => Promise<void>): Promise<void>
}

export async function startTlsMinio(): Promise<TlsMinio> {
  const program = await goTool('minio', 'github.com/minio/minio@latest')
  const data = await mkdtemp(join(tmpdir(), 'modelkeep-minio-'))
  const certificates = await mkdtemp(join(tmpdir(), 'modelkeep-minio-tls-'))
  await copyFile(vector('cert'), join(certificates, 'public.crt'))
  await copyFile(vector('key'), join(certificates, 'private.key'))
  const others = getCACertificates()
  const all = [...others, await readFile(vector('cert'), 'utf8')]
  setDefaultCACertificates(all)
  const address = `127.0.0.1:${await freePort()}`
  const child = await launchMinio(program, data, address, certificates)
  return {
    access: { endpoint: `https://${address}`, ...KEYS },
    distrust(work) {
      setDefaultCACertificates(others)
      return work().finally(() => setDefaultCACertificates(all))
    },
    async stop() {
      setDefaultCACertificates(others)
      await stopChild(child)
      await Promise.all([data, certificates].map((folder) => rm(folder, { recursive: true, force: true })))
    },
  }
}

function vector(part: 'cert' | 'key'): string {
  return fileURLToPath(new URL(`tls/localhost.${part}.pem`, import.meta.url))
}
