import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A port in front of a server that counts what the server sends, and can be cut, held and closed. */
export class TcpRelay implements AsyncDisposable {
  /** Bytes that the server has sent, of all connections. */
  received = 0
  /** Connections so far. */
  opened = 0
  readonly #pairs = new Set<readonly [client: Socket, server: Socket]>()
  #cutAfter = Infinity

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    server.on('connection', (client: Socket) => this.#relay(client))
  }

  static async start(target: number): Promise<TcpRelay> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TcpRelay(server, target)
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** The bytes that the server sends while `work` runs. */
  async during(work: () => Promise<unknown>): Promise<number> {
    const before = this.received
    await work()
    return this.received - before
  }

  /** Breaks the next connection by which the server has sent so many bytes. */
  cutAfter(bytes: number): void {
    this.#cutAfter = bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pair of this.#pairs) cut(pair)
    this.server.close()
    await once(this.server, 'close')
  }

  #relay(client: Socket): void {
    this.opened++
    const server = connect(this.target, '127.0.0.1')
    const pair = [client, server] as const
    this.#pairs.add(pair)
    let sent = 0
    server.on('data', (bytes: Buffer) => {
      sent += bytes.length
      this.received += bytes.length
      if (sent < this.#cutAfter) return
      this.#cutAfter = Infinity
      cut(pair)
    })
    for (const socket of pair) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#pairs.delete(pair)
        for (const one of pair) one.destroy()
      })
    }
    client.pipe(server).pipe(client)
  }
}

/** As a program that is killed does: no end of the stream, a reset. */
function cut(pair: readonly Socket[]): void {
  for (const socket of pair) socket.resetAndDestroy()
}
