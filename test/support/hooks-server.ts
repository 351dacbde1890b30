import { createServer } from 'node:https'
import { once } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface AskedOfHooks {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Readonly<Record<string, unknown>> | null
}

interface Hook {
  readonly id: number
  readonly [field: string]: unknown
}

/** Where each forge has the webhooks of you/shop, and how it is shown a token. */
const FORGES = {
  '/api/v3/repos/you/shop/hooks': { header: 'authorization', prefix: 'Bearer ', update: 'PATCH' },
  '/api/v4/projects/you%2Fshop/hooks': { header: 'private-token', prefix: '', update: 'PUT' },
  '/api/v1/repos/you/shop/hooks': { header: 'authorization', prefix: 'token ', update: 'PATCH' },
} as const

/** The webhooks of a repository at three forges, as their APIs are documented: one on a page; none shows a secret. */
export class HooksServer implements AsyncDisposable {
  readonly asked: AskedOfHooks[] = []
  readonly hooks: Hook[] = []

  private constructor(private readonly server: Server) {}

  static async start(tls: { readonly cert: Buffer; readonly key: Buffer }): Promise<HooksServer> {
    const server = createServer(tls).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const hooks = new HooksServer(server)
    server.on('request', (request, response) => {
      void text(request).then((sent) => {
        const [status, answer] = hooks.#answer(request, sent)
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
      })
    })
    return hooks
  }

  get url(): string {
    return `https://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  #answer({ method = '', url = '', headers }: IncomingMessage, sent: string): [number, unknown] {
    const { pathname, searchParams } = new URL(url, this.url)
    const body = sent === '' ? null : (JSON.parse(sent) as Record<string, unknown>)
    this.asked.push({ method, path: pathname, headers, body })
    const [base, forge] = Object.entries(FORGES).find(([path]) => pathname.startsWith(path)) ?? []
    const token = forge && String(headers[forge.header]).slice(forge.prefix.length)
    if (base === undefined || forge === undefined || token === 'blind') return [404, { message: 'Not Found' }]
    if (token === 'weak') return [403, { message: 'Resource not accessible by personal access token' }]
    if (headers[forge.header] !== `${forge.prefix}right`) return [401, { message: 'Bad credentials' }]
    if (method === 'GET') {
      const page = Number(searchParams.get('page'))
      return [200, this.hooks.slice(page - 1, page).map(withoutSecrets)]
    }
    const config = body?.config as Record<string, unknown> | undefined
    if (body?.type === undefined && body?.name === undefined && base.includes('/repos/') && method === 'POST')
      return [422, { message: 'Validation Failed' }]
    if (this.refuses)
      return [
        422,
        {
          message: `Validation Failed for right`,
          errors: [{ message: 'Hook limit', secret: config?.secret }],
        },
      ]
    if (method === 'POST' && pathname === base) {
      const hook = { ...body, id: 100 + this.hooks.length }
      this.hooks.push(hook)
      return [201, withoutSecrets(hook)]
    }
    const at = this.hooks.findIndex(({ id }) => pathname === `${base}/${id}`)
    if (method !== forge.update || at < 0) return [404, { message: 'Not Found' }]
    this.hooks[at] = { ...body, id: this.hooks[at]?.id ?? 0 }
    return [200, {}]
  }

  /** What it is sent it finds wrong. */
  refuses = false
}

function withoutSecrets(hook: Hook): object {
  const config = hook.config ? { ...hook.config, secret: '********' } : undefined
  return { ...hook, token: undefined, config }
}
