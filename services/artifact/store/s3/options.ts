export interface S3Options {
  /** `http://host:port` or `https://…`. */
  endpoint: string
  bucket: string
  region: string
  accessKey: string
  secretKey: string
  /** Where clients reach the same server. Default: at `endpoint`. */
  publicEndpoint?: string
  /** How long a presigned request can be used. Default 900. */
  presignSeconds?: number
  /** How long the server may take to say anything. Default 60 s. */
  silenceMs?: number
}
