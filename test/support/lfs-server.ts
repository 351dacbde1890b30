import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { buffer, json } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { type GitServers, LOGIN } from './git-servers.js'
import type { TestRepository } from './repository.js'

/** Why `git lfs` cannot push here; false: it can. For `skip` of a test. */
export function missingGitLfs(): string | false {
  try {
    execFileSync('git', ['lfs', 'version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'git-lfs not installed (Debian: git-lfs)'
  }
}

interface BatchRequest {
  readonly operation: 'download' | 'upload'
  readonly objects: readonly { readonly oid: string; readonly size: number }[]
}

/** What it does otherwise than it should; `true` when it has answered. */
type Fault = (request: IncomingMessage, response: ServerResponse) => boolean

/** The batch API of Git LFS and a store in memory, for all repositories of git servers, behind their TLS and password. */
export class LfsServer {
  readonly objects = new Map<string, Buffer>()
  /** Requests since the start: method, path and whether they had credentials. */
  readonly seen: string[] = []
  /** Where objects are: behind the password, unless a test says otherwise. */
  hrefOf: (oid: string) => string
  fault: Fault = () => false

  constructor(servers: GitServers) {
    this.hrefOf = (oid) => servers.httpsUrl(`private/lfs-objects/${oid}`)
    servers.backend.before = (request, response) => this.#handle(request, response)
  }

  #handle(request: IncomingMessage, response: ServerResponse): boolean {
    const [path = ''] = (request.url ?? '').split('?')
    const isBatch = path.endsWith('.git/info/lfs/objects/batch')
    const [, oid] = /\/lfs-objects\/([0-9a-f]{64})$/.exec(path) ?? []
    if (!isBatch && oid === undefined) return false
    const by = request.headers.authorization === undefined ? 'nobody' : 'somebody'
    this.seen.push(`${request.method} ${isBatch ? 'batch' : path} by ${by}`)
    if (this.fault(request, response)) return true
    void (isBatch ? this.#batch(request, response) : this.#object(request, response, oid ?? ''))
    return true
  }

  async #batch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { operation, objects } = (await json(request)) as BatchRequest
    const answers = objects.map(({ oid, size }) => {
      const isThere = this.objects.has(oid)
      if (operation === 'download' && !isThere) {
        return { oid, size, error: { code: 404, message: 'Object does not exist' } }
      }
      const actions = operation === 'upload' && isThere ? {} : { [operation]: { href: this.hrefOf(oid) } }
      return { oid, size, actions }
    })
    response.setHeader('content-type', 'application/vnd.git-lfs+json')
    response.end(JSON.stringify({ transfer: 'basic', objects: answers }))
  }

  async #object(request: IncomingMessage, response: ServerResponse, oid: string): Promise<void> {
    if (request.method === 'PUT') this.objects.set(oid, await buffer(request))
    const object = this.objects.get(oid)
    response.statusCode = object ? 200 : 404
    response.end(request.method === 'GET' ? object : undefined)
  }
}

/** Commits files to a repository that is at `path` of the servers, and has `git lfs` push those of `pattern`. */
export async function pushWithLfs(
  servers: GitServers,
  repository: TestRepository,
  { path, pattern, files }: { path: string; pattern: string; files: Readonly<Record<string, string>> },
): Promise<void> {
  const url = servers.httpsUrl(`${path}.git/info/lfs`)
  repository.git('lfs', 'install', '--local')
  repository.git('config', 'lfs.url', url.replace('://', `://${LOGIN.user}:${LOGIN.password}@`))
  repository.git('config', 'http.sslVerify', 'false')
  repository.git('config', 'lfs.locksverify', 'false')
  repository.git('lfs', 'track', pattern)
  repository.commit(files)
  repository.git('remote', 'add', 'origin', servers.httpsUrl(path))
  // This process answers it.
  await promisify(execFile)('git', ['-C', repository.folder, 'lfs', 'push', '--all', 'origin'])
}

export function oidOf(content: string): string {
  return createHash('sha256').update(content).digest('hex')
}
