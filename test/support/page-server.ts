import { createReadStream, existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { extname, join } from 'node:path'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
}

/** Serves the files of a page that was built; a path that names none is one of the page's own. */
export class PageServer implements AsyncDisposable {
  private constructor(
    private readonly server: Server,
    readonly origin: string,
  ) {}

  static async start(folder: string): Promise<PageServer> {
    const server = createServer(({ url = '/' }, response) => {
      const file = join(folder, new URL(url, 'http://localhost').pathname)
      const found = extname(file) !== '' && existsSync(file) ? file : join(folder, 'index.html')
      response.writeHead(200, { 'content-type': TYPES[extname(found)] ?? 'application/octet-stream' })
      createReadStream(found).pipe(response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    return new PageServer(server, `http://127.0.0.1:${port}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve))
    this.server.closeAllConnections()
    await closed
  }
}
