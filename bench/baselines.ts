import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { unique } from './apps.js'
import { addressOf, buildImage, startContainer } from './docker-api.js'

const PROBE_MS = 5
const GIVE_UP_MS = 120_000
const APP_PORT = 8080
const LABEL = 'longshore.bench'

/** What each part of a deployment took, in milliseconds; `start` goes on until the page answers. */
export type Parts = Readonly<Record<'clone' | 'build' | 'start', number>>

/** Deployments without Longshore. Everything they make carries this run's name; disposing removes it. */
export class Baselines implements Disposable {
  readonly #run = unique()
  readonly #folder = mkdtempSync(join(tmpdir(), 'longshore-bench-'))

  /** What a shell script would do: git clone, docker build, docker run, until the page is `page`. */
  commandLine(repoUrl: string, page: string, env: NodeJS.ProcessEnv = {}): Promise<Parts> {
    const { folder, tag } = this.#names()
    return timed({
      clone: () => program('git', ['clone', '--quiet', '--depth', '1', repoUrl, folder]),
      build: () => program('docker', ['build', '--tag', tag, folder], env),
      start: async () => {
        const args = ['run', '--detach', '--label', `${LABEL}=${this.#run}`, tag]
        const container = (await program('docker', args)).trim()
        await untilServes({ host: await addressOf(container), port: APP_PORT }, page)
      },
    })
  }

  /** The same checkout, but built by the engine's BuildKit and run through the HTTP API. */
  checkout(repoUrl: string, page: string): Promise<Parts> {
    const { folder, tag } = this.#names()
    return timed({
      clone: () => program('git', ['clone', '--quiet', '--depth', '1', repoUrl, folder]),
      build: () => buildImage(outputOf('tar', ['-C', folder, '--exclude=./.git', '-cf', '-', '.']), tag),
      start: async () => untilServes({ host: await this.#start(tag), port: APP_PORT }, page),
    })
  }

  /** The least that can be done: no checkout, no queue, no database, no log; until the port is open. */
  async bare(repoUrl: string): Promise<void> {
    const { folder, tag } = this.#names()
    await program('git', ['clone', '--quiet', '--bare', '--depth', '1', repoUrl, folder])
    await buildImage(outputOf('git', ['-C', folder, 'archive', '--format=tar', 'HEAD']), tag)
    await untilOpen(await this.#start(tag), APP_PORT)
  }

  /** Removes containers and images made so far. */
  clear(): void {
    const containers = list(['ps', '-aq', '--filter', `label=${LABEL}=${this.#run}`])
    if (containers.length > 0) spawnSync('docker', ['rm', '-f', ...containers], { stdio: 'ignore' })
    const images = list(['images', '-q', '--filter', `reference=longshore-bench/${this.#run}`])
    if (images.length > 0) spawnSync('docker', ['rmi', '-f', ...new Set(images)], { stdio: 'ignore' })
  }

  [Symbol.dispose](): void {
    this.clear()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #start(tag: string): Promise<string> {
    return addressOf(await startContainer(tag, { [LABEL]: this.#run }))
  }

  #names(): { folder: string; tag: string } {
    const name = unique()
    return { folder: join(this.#folder, name), tag: `longshore-bench/${this.#run}:${name}` }
  }
}

async function timed(steps: Record<keyof Parts, () => Promise<unknown>>): Promise<Parts> {
  const parts = { clone: 0, build: 0, start: 0 }
  for (const part of ['clone', 'build', 'start'] as const) {
    const startedAt = performance.now()
    await steps[part]()
    parts[part] = performance.now() - startedAt
  }
  return parts
}

function list(args: string[]): string[] {
  return spawnSync('docker', args, { encoding: 'utf8' }).stdout.split('\n').filter(Boolean)
}

/** Runs a program to its end and gives what it printed. */
async function program(file: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (bytes: Buffer) => (said.stdout += bytes.toString('utf8')))
  child.stderr.on('data', (bytes: Buffer) => (said.stderr += bytes.toString('utf8')))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${[file, ...args].join(' ')} ended with ${code}: ${said.stderr}`)
  return said.stdout
}

/** Piped in the same turn: Node discards what nobody reads when the child exits. */
function outputOf(file: string, args: string[]): PassThrough {
  const out = new PassThrough()
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  child.stdout.pipe(out, { end: false })
  child.once('error', (error) => out.destroy(error))
  child.once('close', (code) =>
    code === 0 ? out.end() : out.destroy(new Error(`${file} ended with ${code}`)),
  )
  return out
}

/** Where to ask for a page, and under which name. */
export interface Place {
  readonly host: string
  readonly port: number
  readonly name?: string
}

/** Asks every 5 ms until the answer is 200 and `page`. */
export async function untilServes(state: Place, page: string): Promise<void> {
  for (const until = Date.now() + GIVE_UP_MS; Date.now() < until; await sleep(PROBE_MS)) {
    if ((await pageAt(state).catch(() => null)) === page) return
  }
  throw new Error(`${state.name ?? state.host} did not serve its page within ${GIVE_UP_MS} ms`)
}

function pageAt({ host, port, name = host }: Place): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const options = { host, port, headers: { host: name }, agent: false, timeout: 1_000 }
    const asked = request(options, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece: string) => (text += piece))
      answer.on('end', () => resolve(answer.statusCode === 200 ? text : null))
      answer.on('error', reject)
    })
    asked.on('timeout', () => asked.destroy()).on('error', reject)
    asked.end()
  })
}

async function untilOpen(host: string, port: number): Promise<void> {
  for (const until = Date.now() + GIVE_UP_MS; Date.now() < until; await sleep(PROBE_MS)) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect({ host, port, timeout: 1_000 })
      const finish = (answer: boolean) => {
        socket.destroy()
        resolve(answer)
      }
      socket.once('connect', () => finish(true))
      socket.once('error', () => finish(false)).once('timeout', () => finish(false))
    })
    if (open) return
  }
  throw new Error(`${host}:${port} did not open within ${GIVE_UP_MS} ms`)
}
