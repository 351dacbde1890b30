import { connect, createServer, type Server, type Socket } from 'node:net'

/** A port behind another one, that a test can cut off and let go silent. */
export class TcpProxy implements AsyncDisposable {
  readonly #sockets = new Set<Socket>()
  #state: 'open' | 'cut' | 'silent' = 'open'

  private constructor(
    private readonly targetPort: number,
    private readonly server: Server,
    readonly port: number,
  ) {
    server.on('connection', (client: Socket) => this.#forward(client))
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return new TcpProxy(targetPort, server, typeof address === 'object' && address ? address.port : 0)
  }

  /** All connections break, and so does each new one, until `open`. */
  cut(): void {
    this.#state = 'cut'
    for (const socket of this.#sockets) socket.destroy()
  }

  /** All connections stay and nothing passes any more, as when a cable is pulled; nor on new ones, until `open`. */
  silence(): void {
    this.#state = 'silent'
    for (const socket of this.#sockets) socket.unpipe().pause()
  }

  /** New connections pass. Those that went silent stay so. */
  open(): void {
    this.#state = 'open'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve))
    this.cut()
    await closed
  }

  #forward(client: Socket): void {
    this.#keep(client)
    if (this.#state === 'cut') return void client.destroy()
    if (this.#state === 'silent') return
    const server = connect(this.targetPort, '127.0.0.1')
    this.#keep(server)
    client.on('close', () => server.destroy())
    server.on('close', () => client.destroy())
    client.pipe(server).pipe(client)
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
