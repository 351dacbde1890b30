import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'

/** A proxy that opens tunnels (CONNECT) and forwards plain requests, for those who have its password. */
export class ConnectProxy implements AsyncDisposable {
  static readonly LOGIN = 'user:pr0xy-s3cret'
  /** What was asked of it: `CONNECT host:port` or `GET http://host/…`. */
  readonly asked: string[] = []
  /** All that went through tunnels to servers, as the proxy sees it. */
  readonly seen: Buffer[] = []
  /** It takes connections and says nothing. */
  isSilent = false
  readonly #sockets = new Set<Duplex>()

  private constructor(private readonly server: Server) {
    server.on('connection', (socket: Duplex) => this.#sockets.add(socket))
    server.on('connect', (asked: IncomingMessage, client: Duplex) => this.#tunnel(asked, client))
    server.on('request', (asked: IncomingMessage, answer: ServerResponse) => this.#forward(asked, answer))
  }

  static async start(): Promise<ConnectProxy> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new ConnectProxy(server)
  }

  /** Without a protocol. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  get url(): string {
    return `http://${ConnectProxy.LOGIN}@${this.address}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }

  #tunnel({ url = '', headers }: IncomingMessage, client: Duplex): void {
    this.asked.push(`CONNECT ${url}`)
    client.on('error', () => client.destroy())
    if (this.isSilent) return
    if (!isAllowed(headers)) return void client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    const { hostname, port } = new URL(`http://${url}`)
    const server = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      client.on('data', (part: Buffer) => this.seen.push(part))
      client.pipe(server).pipe(client)
    })
    this.#sockets.add(server)
    server.on('error', () => client.destroy())
    client.on('close', () => server.destroy())
  }

  #forward(asked: IncomingMessage, answer: ServerResponse): void {
    const { url = '', method, headers } = asked
    this.asked.push(`${method} ${url}`)
    if (!isAllowed(headers)) return void answer.writeHead(407).end()
    const forwarded = request(url, { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
    })
    forwarded.on('error', () => answer.destroy())
    asked.pipe(forwarded)
  }
}

function isAllowed(headers: IncomingMessage['headers']): boolean {
  return headers['proxy-authorization'] === `Basic ${Buffer.from(ConnectProxy.LOGIN).toString('base64')}`
}
