import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TlsOptions } from 'node:tls'

export interface Told {
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readonly<Record<string, string>>
}

const ROUTES = [
  {
    path: /^\/github\/repos\/[^/]+\/[^/]+\/statuses\/[0-9a-f]{40}$/,
    name: 'authorization',
    value: 'Bearer right',
  },
  {
    path: /^\/gitea\/repos\/[^/]+\/[^/]+\/statuses\/[0-9a-f]{40}$/,
    name: 'authorization',
    value: 'token right',
  },
  { path: /^\/gitlab\/projects\/[^/]+\/statuses\/[0-9a-f]{40}$/, name: 'private-token', value: 'right' },
]
const STATES = {
  github: ['error', 'failure', 'pending', 'success'],
  gitea: ['error', 'failure', 'pending', 'success', 'warning'],
  gitlab: ['pending', 'running', 'success', 'failed', 'canceled'],
}

/** The APIs of three forges as far as commit statuses go: paths, tokens, states and answers as documented. */
export class ForgeServer implements AsyncDisposable {
  /** What was taken. */
  readonly told: Told[] = []
  /** Every request, taken or not. */
  asked = 0
  /** Answers of the next requests, instead of the right ones. */
  readonly next: ((response: ServerResponse) => void)[] = []

  private constructor(
    private readonly server: Server,
    private readonly scheme: string,
  ) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => this.#answer(request, Buffer.concat(parts).toString('utf8'), response))
    })
  }

  /** @param tls https if it is given */
  static async start(tls?: Pick<TlsOptions, 'cert' | 'key'>): Promise<ForgeServer> {
    const server = tls ? createTlsServer(tls) : createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new ForgeServer(server, tls ? 'https' : 'http')
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** The states that were told of a commit, in order. */
  statesOf(sha: string): string[] {
    return this.told.filter(({ path }) => path.endsWith(sha)).map(({ body }) => body.state ?? '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  #answer(
    { url: path = '', method, headers }: IncomingMessage,
    text: string,
    response: ServerResponse,
  ): void {
    this.asked++
    const instead = this.next.shift()
    if (instead) return instead(response)
    const say = (status: number, message: string) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }))
    }
    const route = ROUTES.find((one) => one.path.test(path))
    if (method !== 'POST' || !route) return say(404, 'Not Found')
    if (headers[route.name] !== route.value) return say(401, 'Bad credentials')
    const body = JSON.parse(text) as Record<string, string>
    const states = STATES[path.split('/')[1] as keyof typeof STATES]
    if (!states.includes(body.state ?? '')) return say(422, 'Validation Failed')
    this.told.push({ path, headers, body })
    say(201, 'Created')
  }
}
