import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Runs `git http-backend` for each request, as a web server does; without TLS and passwords, which nginx adds. */
export class GitHttpBackend implements AsyncDisposable {
  /** Requests that are to be answered otherwise: `true` when it was done. */
  before: (request: IncomingMessage, response: ServerResponse) => boolean = () => false
  /** Configuration of the server's git for the next requests. */
  config: Readonly<Record<string, string>> = {}
  readonly #running = new Set<ChildProcess>()

  private constructor(
    private readonly server: Server,
    private readonly root: string,
  ) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (!this.before(request, response)) this.#run(request, response)
    })
  }

  /** @param root the folder that has the repositories */
  static async start(root: string): Promise<GitHttpBackend> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new GitHttpBackend(server, root)
  }

  /** Requests that are being answered. */
  get running(): number {
    return this.#running.size
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) killGroup(child)
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  #run(request: IncomingMessage, response: ServerResponse): void {
    const child = spawn('git', ['http-backend'], { env: this.#environment(request), detached: true })
    this.#running.add(child)
    child.once('close', () => this.#running.delete(child))
    child.stdin.on('error', () => undefined)
    request.pipe(child.stdin)
    child.stderr.resume()
    response.once('close', () => killGroup(child))
    void answer(child.stdout, response)
  }

  #environment({ method, url = '/', headers }: IncomingMessage): NodeJS.ProcessEnv {
    const { pathname, search } = new URL(url, 'http://localhost')
    const config = Object.entries({
      'safe.directory': '*',
      'uploadpack.allowAnySHA1InWant': 'true',
      ...this.config,
    })
    return {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: this.root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
      REQUEST_METHOD: method,
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: String(headers['content-encoding'] ?? ''),
      REMOTE_ADDR: '127.0.0.1',
      GIT_CONFIG_COUNT: String(config.length),
      ...Object.fromEntries(
        config.flatMap(([key, value], index) => [
          [`GIT_CONFIG_KEY_${index}`, key],
          [`GIT_CONFIG_VALUE_${index}`, value],
        ]),
      ),
    }
  }
}

/** With the upload-pack that it has started, and a hook of that. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Headers up to an empty line, then the body, which is passed on as it comes. */
async function answer(output: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
  let head: Buffer | null = Buffer.alloc(0)
  for await (const bytes of output) {
    if (head === null) {
      response.write(bytes)
      continue
    }
    head = Buffer.concat([head, bytes])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) continue
    const lines = head.subarray(0, end).toString('latin1').split('\r\n')
    const headers = lines.map((line) => [
      line.slice(0, line.indexOf(':')),
      line.slice(line.indexOf(':') + 1).trim(),
    ])
    const { Status: status = '200', ...rest } = Object.fromEntries(headers) as Record<string, string>
    response.writeHead(Number.parseInt(status, 10), rest)
    response.write(head.subarray(end + 4))
    head = null
  }
  response.end()
}
