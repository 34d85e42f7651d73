// Health check of the service in this container: exits with 0 if it serves.
import http from 'node:http'
import https from 'node:https'

const { PORT, TLS_CERT_FILE } = process.env
// The certificate names the service, not 127.0.0.1.
const [client, options] = TLS_CERT_FILE ? [https, { rejectUnauthorized: false }] : [http, {}]
const request = client.get({ ...options, host: '127.0.0.1', port: PORT, path: '/healthz' }, (response) => {
  process.exitCode = response.statusCode === 200 ? 0 : 1
  response.resume()
})
request.on('error', () => (process.exitCode = 1))
