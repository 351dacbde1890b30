import { Queries } from '../../src/engine/queries.js'
import { createTokenCheck } from '../../src/http/access.js'
import type { ConnectionTimes } from '../../src/http/fan-out/client-connection.js'
import { createServer } from '../../src/http/server.js'
import { createLogger } from '../../src/logger.js'
import { buildSchema } from '../../src/resolvers/build-schema.js'
import type { TestProcess } from './engine.js'
import { TOKEN } from './server.js'

export interface ApiError {
  readonly message: string
  readonly extensions: {
    readonly code: string
    readonly field?: string
    readonly limit?: { readonly name: string; readonly value: number }
  }
}

export interface Answer {
  readonly data?: Readonly<Record<string, unknown>> | null
  readonly errors?: readonly ApiError[]
}

/** The API of a process, in this one. */
export class ApiServer implements AsyncDisposable {
  private constructor(
    readonly port: number,
    private readonly server: AsyncDisposable,
    /** What it has logged as errors. */
    readonly logged: string[],
  ) {}

  static async open(
    { commands, hub, wakeups, database }: Pick<TestProcess, 'commands' | 'hub' | 'wakeups' | 'database'>,
    corsOrigins: readonly string[] = [],
    connectionTimes?: ConnectionTimes,
  ): Promise<ApiServer> {
    const logged: string[] = []
    const logger = { ...createLogger('error'), error: (message: string) => void logged.push(message) }
    const address = { baseDomain: 'localhost', publicPort: 80, publicUrl: '', router: 'builtin' }
    const api = { commands, queries: new Queries(database), hub, wakeups, address }
    const connections = { total: 100, perAddress: 100 }
    const server = await createServer({
      ...{ api, schema: await buildSchema(logger), logger, connections, absence: { message: null } },
      ...{ isToken: createTokenCheck(TOKEN), corsOrigins },
      ...(connectionTimes ? { connectionTimes } : {}),
    })
    const { port } = new URL(await server.listen('127.0.0.1', 0))
    return new ApiServer(Number(port), server, logged)
  }

  /** Sends a body to /graphql, whatever it is. */
  send(body: unknown): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify(body),
    })
  }

  async post(query: string, variables: object = {}): Promise<Answer> {
    return (await (await this.send({ query, variables })).json()) as Answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
  }
}
