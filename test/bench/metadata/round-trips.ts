// Counts the round trips of a service to its database: a proxy between them notices each time when the service speaks
// after the database has answered.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface RoundTripCounter {
  /** URL of the database through the proxy. */
  url: string
  count: () => number
  close: () => void
}

export async function countRoundTrips(databaseUrl: string): Promise<RoundTripCounter> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let roundTrips = 0
  const server = createServer((client) => {
    const database = connect(Number(target.port || 5432), target.hostname)
    let isAnswered = true
    for (const socket of [client, database]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
    }
    client.on('data', (data) => {
      if (isAnswered) roundTrips += 1
      isAnswered = false
      database.write(data)
    })
    database.on('data', (data) => {
      isAnswered = true
      client.write(data)
    })
    client.on('close', () => database.destroy())
    database.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    count: () => roundTrips,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
