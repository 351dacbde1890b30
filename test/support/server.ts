import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createTestDatabase, type TestDatabase } from './database.js'
import { containerNames, docker, ENGINE_HOST, imageNames, runningContainers } from './docker.js'
import { onDatabase } from './tables.js'

/** Runs what scripts/lib/server-bundle.mjs made of dist/src. */
const SERVER = fileURLToPath(new URL('../../../scripts/lib/bundled-server.cjs', import.meta.url))
export const TOKEN = 'a-token-only-for-tests'

/** An installation of Longshore in a temporary folder: real processes on a real database. */
export class Installation implements AsyncDisposable {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'longshore-data-'))
  readonly processes: ServerProcess[] = []
  #id: string | undefined

  private constructor(
    readonly database: TestDatabase,
    readonly port: number,
    readonly routerPort: number,
  ) {}

  static async create(): Promise<Installation> {
    return new Installation(await createTestDatabase(), await freePort(), await freePort())
  }

  /** Starts a process and waits until its API, or its worker, is up. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
    const server = new ServerProcess({
      DATABASE_URL: this.database.url,
      DOCKER_HOST: ENGINE_HOST,
      DATA_DIR: this.dataDir,
      PORT: String(this.port),
      ROUTER_PORT: String(this.routerPort),
      ADMIN_TOKEN: TOKEN,
      ALLOW_FILE_REPOS: 'true',
      // What was kept for an automatic rollback goes soon.
      WATCH_SECONDS: '2',
      // A commit is deployed when a test says so.
      RECONCILE_MINUTES: '0',
      ...env,
    })
    this.processes.push(server)
    await server.started()
    return server
  }

  /** What the built-in router answers for a host. */
  fetch(host: string, path = '/'): Promise<{ status: number; body: string }> {
    return fetchHost(this.routerPort, host, path)
  }

  /** Names of its containers, running or not: never those that another run on this machine has left. */
  async containers(): Promise<string[]> {
    return containerNames(await this.#label())
  }

  /** What the engine says of those of its containers that run, as far as `T` reads it. */
  async running<T>(): Promise<T[]> {
    return runningContainers(await this.#label())
  }

  /** Its images, as repository:tag. */
  async images(): Promise<string[]> {
    return imageNames(await this.#label())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.processes) await server.kill()
    await this.#removeLeftovers()
    await this.database[Symbol.asyncDispose]()
    rmSync(this.dataDir, { recursive: true, force: true })
  }

  /** What a test that failed half-way has left running. */
  async #removeLeftovers(): Promise<void> {
    const containers = await this.containers()
    if (containers.length > 0) docker('rm', '-f', '-v', ...containers)
    const images = await this.images()
    if (images.length > 0) docker('rmi', '-f', ...images)
  }

  /** What all that is its own carries; the id is there from the first start on. */
  async #label(): Promise<string> {
    this.#id ??= await onDatabase(this.database.url, 'SELECT id FROM instance').then(
      ([row]) => row?.id as string | undefined,
      () => undefined,
    )
    return `longshore.instance=${this.#id ?? 'none'}`
  }
}

/** One process of Longshore. */
export class ServerProcess {
  readonly child: ChildProcess
  output = ''
  private readonly roles: string

  constructor(env: Readonly<Record<string, string>>) {
    this.roles = env.ROLES ?? 'api,worker'
    this.child = spawn(process.execPath, [SERVER], { env: { PATH: process.env.PATH, ...env }, stdio: 'pipe' })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (bytes: Buffer) => (this.output += bytes.toString('utf8')))
    }
  }

  async started(): Promise<void> {
    await until(() => {
      if (this.child.exitCode !== null) throw new Error(`the server ended: ${this.output}`)
      return (this.roles.includes('api') ? /API started/ : /worker started/).test(this.output)
    })
  }

  /** Sends a signal and gives the milliseconds until the process has ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    const startedAt = performance.now()
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit')
      this.child.kill(signal)
      await ended
    }
    return performance.now() - startedAt
  }

  kill(): Promise<number> {
    return this.stop('SIGKILL')
  }
}

/** After a question that took longer the next one waits three times as long as it took, at most a second. */
const DEAR_MS = 30
/** What has not come by then does not come: a bound for a test that hangs, not for a machine that is busy. */
const PATIENCE_MS = 120_000

/**
 * Asks `condition` until it gives something true; fails after two minutes. What is dear to ask, as through the docker
 * command line, is asked less often: what it waits for needs the processor, too.
 */
export async function until<T>(condition: () => T | Promise<T>, everyMs = 50): Promise<NonNullable<T>> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const askedAt = Date.now()
    const value = await condition()
    if (value) return value
    if (Date.now() > end) throw new Error(`not within ${PATIENCE_MS} ms: ${condition.toString()}`)
    const tookMs = Date.now() - askedAt
    await sleep(tookMs > DEAR_MS ? Math.max(everyMs, Math.min(3 * tookMs, 1_000)) : everyMs)
  }
}

export function fetchHost(port: number, host: string, path = '/'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers: { host }, agent: false }, (answer) => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => (body += text))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
      answer.on('error', reject)
    })
    asked.on('error', reject).end()
  })
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}
