// Where the bytes of a file can be had: its parts, and the signed request for the direct lane.
import type { Blob } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService, type SignedRequest } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import type { Lanes } from '../transfer/lanes.ts'
import { unary, type Registry } from '../connection/registry.ts'
import { distrust, type RemoteFile } from './manifest.ts'
import { partsOf, type FilePart } from './parts.ts'

export class Plan {
  readonly #registry: Registry
  readonly #namespace: string
  readonly #file: RemoteFile
  #request: Promise<SignedRequest> | undefined

  constructor(registry: Registry, namespace: string, file: RemoteFile) {
    this.#registry = registry
    this.#namespace = namespace
    this.#file = file
  }

  async parts(lanes: Lanes): Promise<FilePart[]> {
    const blob = await lanes.move(this.#registry.signal, {
      direct: () => this.#ask(),
      stream: async () => {
        const request = { namespace: this.#namespace, digest: this.#file.digest }
        return (await this.#registry.artifact(BlobService).getBlob(request, unary(this.#registry))).blob
      },
    })
    return partsOf(blob, this.#file)
  }

  /** For the direct lane. */
  async request(): Promise<SignedRequest> {
    if (!this.#request) await this.#ask()
    return this.#request!
  }

  /** Forgets a request that the store refuses: its time may be over. */
  renew(refused: SignedRequest): Promise<SignedRequest> {
    const renewed = this.#request?.then((current) => {
      if (current === refused) this.#request = undefined
      return this.request()
    })
    return renewed ?? this.request()
  }

  async #ask(): Promise<Blob | undefined> {
    const request = { namespace: this.#namespace, digest: this.#file.digest }
    const asked = this.#registry.artifact(DirectService).getDownloadPlan(request, unary(this.#registry))
    this.#request = asked.then(
      (plan) => plan.request ?? distrust(`server returned no signed request for "${this.#file.path}"`),
    )
    this.#request.catch(() => (this.#request = undefined))
    return (await asked).blob
  }
}
