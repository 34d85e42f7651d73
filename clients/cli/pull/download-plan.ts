// The download plan of a file: its parts, and the signed request for the transfer mode direct.
import type { Blob } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService, type SignedRequest } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import type { ModeSelector } from '../transfer/mode-selector.ts'
import { unary, type Registry } from '../connection/registry.ts'
import { failIntegrity, type RemoteFile } from './manifest.ts'
import { partsOf, type FilePart } from './parts.ts'

export class DownloadPlan {
  readonly #registry: Registry
  readonly #namespace: string
  readonly #file: RemoteFile
  #request: Promise<SignedRequest> | undefined

  constructor(registry: Registry, namespace: string, file: RemoteFile) {
    this.#registry = registry
    this.#namespace = namespace
    this.#file = file
  }

  async parts(modes: ModeSelector): Promise<FilePart[]> {
    const blob = await modes.run(this.#registry.signal, {
      direct: () => this.#fetch(),
      stream: async () => {
        const request = { namespace: this.#namespace, digest: this.#file.digest }
        return (await this.#registry.artifact(BlobService).getBlob(request, unary(this.#registry))).blob
      },
    })
    return partsOf(blob, this.#file)
  }

  /** Returns the signed request for the transfer mode direct. */
  async request(): Promise<SignedRequest> {
    if (!this.#request) await this.#fetch()
    return this.#request!
  }

  /** Replaces a request that the store rejected, which may have expired. */
  renew(refused: SignedRequest): Promise<SignedRequest> {
    const renewed = this.#request?.then((current) => {
      if (current === refused) this.#request = undefined
      return this.request()
    })
    return renewed ?? this.request()
  }

  async #fetch(): Promise<Blob | undefined> {
    const request = { namespace: this.#namespace, digest: this.#file.digest }
    const response = this.#registry.artifact(DirectService).getDownloadPlan(request, unary(this.#registry))
    this.#request = response.then(
      (plan) => plan.request ?? failIntegrity(`server returned no signed request for "${this.#file.path}"`),
    )
    this.#request.catch(() => (this.#request = undefined))
    return (await response).blob
  }
}
