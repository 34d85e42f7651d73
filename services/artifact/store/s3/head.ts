// The head of an HTTP/1.1 answer of the S3 server.

export const HEAD_END = '\r\n\r\n'

export interface Head {
  status: number
  /** Keyed by name in lower case. */
  headers: Map<string, string>
  /** Whether the server keeps the connection open for another request. */
  isKeptAlive: boolean
}

export function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  const [, status] = /^HTTP\/1\.1 (\d{3})( |$)/.exec(first) ?? []
  const isKeptAlive = !headers.has('transfer-encoding') && headers.get('connection')?.toLowerCase() !== 'close'
  return { status: Number(status ?? 0), headers, isKeptAlive }
}
