import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { docker } from './docker.js'

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const CONFIG = 'application/vnd.docker.container.image.v1+json'
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar'
const TOKEN = 'anonymous-token'

interface Blob {
  readonly type: string
  readonly bytes: Buffer
}

/**
 * A registry with one image, that does as Docker Hub does: it answers nobody without a token, and gives one to
 * everybody who asks. The Docker engine speaks HTTP with registries of its own machine.
 */
export class TestRegistry implements AsyncDisposable {
  readonly #blobs: ReadonlyMap<string, Blob>
  readonly #manifest: string
  readonly #host: string
  /** Tokens that were given out. */
  tokens = 0

  private constructor(
    private readonly server: Server,
    blobs: readonly Blob[],
  ) {
    this.#host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    this.#blobs = new Map(blobs.map((blob) => [digest(blob.bytes), blob]))
    const entries = [...this.#blobs].map(([name, { type, bytes }]) => ({
      ...{ mediaType: type, size: bytes.length, digest: name },
    }))
    const manifest = { schemaVersion: 2, mediaType: MANIFEST, config: entries[0], layers: entries.slice(1) }
    this.#manifest = JSON.stringify(manifest)
    server.on('request', (request, response) => this.#answer(request, response))
  }

  /** Serves a copy of an image of this machine. */
  static async start(image: string): Promise<TestRegistry> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TestRegistry(server, saved(image))
  }

  /** What a Dockerfile calls its image. */
  get image(): string {
    return `${this.#host}/base:1`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.close()
    this.server.closeAllConnections()
    await once(this.server, 'close')
    docker('image', 'rm', '-f', this.image)
  }

  #answer({ url = '', headers }: IncomingMessage, response: ServerResponse): void {
    if (url.startsWith('/token')) {
      this.tokens++
      return void response.end(JSON.stringify({ token: TOKEN, expires_in: 300 }))
    }
    if (headers.authorization !== `Bearer ${TOKEN}`) {
      const challenge = `Bearer realm="http://${this.#host}/token",service="test",scope="repository:base:pull"`
      return void response.writeHead(401, { 'www-authenticate': challenge }).end('{}')
    }
    if (url.includes('/manifests/')) {
      const bytes = Buffer.from(this.#manifest)
      return send(response, { type: MANIFEST, bytes })
    }
    const blob = this.#blobs.get(url.split('/').at(-1) ?? '')
    if (blob) return send(response, blob)
    response.writeHead(url === '/v2/' ? 200 : 404).end('{}')
  }
}

function send(response: ServerResponse, { type, bytes }: Blob): void {
  const headers = {
    ...{ 'content-type': type, 'content-length': bytes.length },
    'docker-content-digest': digest(bytes),
  }
  response.writeHead(200, headers).end(bytes)
}

function digest(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** The configuration and the layers of an image of this machine. */
function saved(image: string): Blob[] {
  const folder = mkdtempSync(join(tmpdir(), 'longshore-registry-'))
  try {
    const archive = join(folder, 'image.tar')
    docker('save', '-o', archive, image)
    execFileSync('tar', ['-xf', archive, '-C', folder])
    const read = (path: string) => readFileSync(join(folder, path))
    const [manifest] = JSON.parse(read('manifest.json').toString()) as { Config: string; Layers: string[] }[]
    if (!manifest) throw new Error(`docker save gave no ${image}`)
    return [
      { type: CONFIG, bytes: read(manifest.Config) },
      ...manifest.Layers.map((path) => ({ type: LAYER, bytes: read(path) })),
    ]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
