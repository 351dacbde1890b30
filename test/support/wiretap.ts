import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

/** A port through which a server is reached, and all that the server says there. */
export interface Wiretap extends AsyncDisposable {
  readonly port: number
  /** Every byte that the server sent, of all connections. */
  said(): string
}

export async function wiretap(serverPort: number): Promise<Wiretap> {
  const pieces: Buffer[] = []
  const sockets = new Set<{ destroy(): void }>()
  const server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1')
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined))
    upstream.on('data', (bytes: Buffer) => pieces.push(bytes))
    client.pipe(upstream).pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    said: () => Buffer.concat(pieces).toString('utf8'),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
