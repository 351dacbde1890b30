import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type RawData, WebSocketServer } from 'ws'

const FIRST = 2

/** Loopback addresses (127.x.y.z) for containers: the lowest that is free, so that one is soon another's. */
export class Addresses {
  // Two engines at a time, in one process or two, are not to give out the same ones.
  readonly #network = `127.${10 + Math.floor(Math.random() * 240)}`
  readonly gateway = `${this.#network}.0.1`
  readonly #taken = new Set<number>()

  take(): string {
    let index = FIRST
    while (this.#taken.has(index)) index++
    this.#taken.add(index)
    return `${this.#network}.${index >> 8}.${index & 255}`
  }

  free(address: string): void {
    const [, , high = 0, low = 0] = address.split('.').map(Number)
    this.#taken.delete(high * 256 + low)
  }
}

export interface Listener extends AsyncDisposable {
  readonly port: number
}

/**
 * A web app at the endpoint's address; over a WebSocket it echoes, with its page before each message. Should something else of this machine hold that port there, the endpoint gets
 * another address.
 */
export async function listen(
  endpoint: { address: string },
  port: number,
  addresses: Addresses,
  app: () => { status: number | null; body: string },
): Promise<Listener> {
  const server = createServer((_request, response) => {
    const { status, body } = app()
    if (status === null) return
    response.writeHead(status, { 'content-type': 'text/html' }).end(body)
  })
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (open) => {
      open.on('error', () => undefined)
      open.on('message', (data: RawData) => open.send(`${app().body}: ${(data as Buffer).toString('utf8')}`))
    })
  })
  for (let tries = 0; ; tries++) {
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      server.once('error', resolve)
      server.listen(port, endpoint.address, () => resolve(null))
    })
    server.removeAllListeners('error')
    if (!error) break
    if (error.code !== 'EADDRINUSE' || tries === 20) throw error
    endpoint.address = addresses.take() // the one in use stays taken
  }
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      for (const socket of sockets.clients) socket.terminate()
      await closed
    },
  }
}
