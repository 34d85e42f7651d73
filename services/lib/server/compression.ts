// gzip of requests: stock clients send it. Responses are not compressed, because most bytes of models do not shrink, and
// because the size of a compressed response can reveal what it contains.
import { Code, ConnectError } from '@connectrpc/connect'
import { compressionGzip } from '@connectrpc/connect-node'
import type { Compression } from '@connectrpc/connect/protocol'

/** No response is this long. */
export const COMPRESS_NO_RESPONSE = Number.MAX_SAFE_INTEGER

export const requestGzip: Compression = {
  ...compressionGzip,
  async decompress(bytes, maxBytes) {
    try {
      return await compressionGzip.decompress(bytes, maxBytes)
    } catch (error) {
      throw blameSender(error)
    }
  },
}

/** The library reports bytes that end early as an internal error. */
function blameSender(error: unknown): unknown {
  if (!(error instanceof ConnectError) || error.code !== Code.Internal) return error
  return new ConnectError('request body is not valid gzip', Code.InvalidArgument, undefined, undefined, error)
}
