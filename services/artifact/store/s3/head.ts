// The head of an answer of the S3 server.

export const HEAD_END = '\r\n\r\n'

export interface Head {
  status: number
  /** By name in lower case. */
  headers: Map<string, string>
  /** Whether the connection can be used again. */
  isKept: boolean
}

export function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  const [, status] = /^HTTP\/1\.1 (\d{3})( |$)/.exec(first) ?? []
  const isKept = !headers.has('transfer-encoding') && headers.get('connection')?.toLowerCase() !== 'close'
  return { status: Number(status ?? 0), headers, isKept }
}

export function lost(): Error {
  return Object.assign(new Error('the connection to the store was lost'), { code: 'ECONNRESET' })
}
