import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Disposal } from '../../src/disposal.js'
import type { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import { startBuiltin } from './routers.js'
import { openShop, type Shop } from './routing.js'
import { until } from './server.js'

/** The stage's host of the app `shop`. */
export const HOST = 'shop.test.example'

/** An app on a raw socket: it says what no HTTP server would say. */
export interface RawApp {
  readonly port: number
  /** Connections that it got, the closed ones too. */
  readonly sockets: Socket[]
  /** At which of its addresses. */
  readonly addresses: string[]
  /** All that was sent to it. */
  received(): string
}

/** The shop behind a built-in router, and versions of it on raw sockets. */
export interface RawShop extends AsyncDisposable {
  readonly router: BuiltinRouter
  readonly shop: Shop
  /** Listens; `answer` is called with each piece that comes. */
  listen(answer: (socket: Socket, piece: Buffer) => void, host?: string): Promise<RawApp>
  /** Traffic goes to a new deployment at that port, with a replica for each address. */
  serve(port: number, addresses?: readonly string[]): Promise<string>
}

export async function openRawShop(): Promise<RawShop> {
  const opened = new Disposal()
  const shop = opened.use(await openShop())
  const { database } = shop.process
  const router = await startBuiltin(shop.process, opened)
  return {
    router,
    shop,
    async listen(answer, host = '127.0.0.1') {
      const sockets: Socket[] = []
      const addresses: string[] = []
      const pieces: Buffer[] = []
      const server = createServer((socket) => {
        sockets.push(socket)
        addresses.push(socket.localAddress ?? '')
        socket.on('error', () => undefined)
        socket.on('data', (piece: Buffer) => {
          pieces.push(piece)
          answer(socket, piece)
        })
      })
      await new Promise<void>((resolve) => server.listen(0, host, resolve))
      opened.defer(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
      const { port } = server.address() as AddressInfo
      return { port, sockets, addresses, received: () => Buffer.concat(pieces).toString('latin1') }
    },
    async serve(port, addresses = ['127.0.0.1']) {
      const id = await shop.add(port)
      await database.query('UPDATE deployment SET addresses = $2 WHERE id = $1', [id, addresses])
      await shop.switchTo(id)
      await router.apply()
      return id
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

/** A client on a raw socket. */
export class RawClient implements Disposable {
  readonly socket: Socket
  received = ''
  closed = false

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('error', () => undefined)
    this.socket.on('data', (bytes: Buffer) => (this.received += bytes.toString('latin1')))
    this.socket.on('close', () => (this.closed = true))
  }

  /** Sends lines of a head, for the shop's host, and what follows it. */
  send(lines: readonly string[], body = ''): void {
    this.socket.write(Buffer.from(`${[...lines, `Host: ${HOST}`].join('\r\n')}\r\n\r\n${body}`, 'latin1'))
  }

  /** Waits until what came looks like this. */
  async gets(pattern: RegExp): Promise<string> {
    await until(() => pattern.test(this.received)).catch(() => {
      throw new Error(`no ${pattern} in ${JSON.stringify(this.received.slice(0, 2_000))}`)
    })
    return this.received
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
