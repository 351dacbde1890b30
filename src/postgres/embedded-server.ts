import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { syncFolderOf, writeSynced } from '../durable-file.js'
import { programPath } from '../environment.js'
import { type ChildProcess, ended, killTree, runProgram, startProgram } from '../process.js'
import { asPlainUser } from './plain-user.js'

/** A PostgreSQL server of this process's own. */
export interface EmbeddedServer extends AsyncDisposable {
  /** For `DATABASE_URL`: loopback only, with a password that lives in the data folder. */
  readonly url: string
  /** Rejects when the server ends although nobody stopped it. */
  readonly failed: Promise<never>
}

export class EmbeddedServerError extends Error {
  override name = 'EmbeddedServerError'
  readonly code = 'EMBEDDED_POSTGRES'
}

const STARTUP_MS = 60_000
/** A predecessor that was killed takes PostgreSQL down with it; its shutdown checkpoint may need this long. */
const PREDECESSOR_MS = 15_000

/**
 * Starts PostgreSQL out of the npm package for this platform, with its data in `folder` (made at first start).
 *
 * Works as root too. The server dies with this process, also on kill -9, and recovers from it at the next start.
 * `folder` serves one process at a time: a second one is refused by name and pid. Takes 0.1 s, the first time 2 s.
 */
export async function startEmbeddedServer(folder: string): Promise<EmbeddedServer> {
  await mkdir(folder, { recursive: true })
  const binaries = await findBinaries()
  const libraries = await linkLibraries(binaries, join(folder, 'lib'))
  const data = join(folder, 'data')
  const passwordFile = join(folder, 'password')
  const password = await passwordOf(passwordFile)
  const user = await asPlainUser(folder)
  await waitForPredecessor(data)
  const env = { PATH: programPath(), LC_ALL: 'C', TZ: 'UTC', ...libraries }
  if (!(await isInitialised(data))) await initialise({ data, passwordFile }, { binaries, user, env })
  const port = await freePort()
  const [file, args] = user.command(binaries.postgres, serverArguments(data, port))
  const child = startProgram(file, args, { env, stdio: ['ignore', 'ignore', 'pipe'], deathSignal: 'INT' })
  const lines: string[] = []
  child.stderr?.on('data', (bytes: Buffer) => {
    lines.push(...bytes.toString('utf8').split('\n').filter(Boolean))
    lines.splice(0, lines.length - 20)
  })
  await ready(child, lines)
  return supervised(child, `postgres://longshore:${password}@127.0.0.1:${port}/postgres`, lines)
}

function supervised(child: ChildProcess, url: string, lines: string[]): EmbeddedServer {
  let stopping = false
  const end = ended(child).catch(() => undefined)
  const failed = end.then(() => {
    if (stopping) return new Promise<never>(() => undefined)
    throw new EmbeddedServerError(`PostgreSQL ended: ${lines.join('\n')}`)
  })
  failed.catch(() => undefined) // its owner may subscribe later
  return {
    url,
    failed,
    async [Symbol.asyncDispose]() {
      stopping = true
      killTree(child, 'SIGINT') // fast shutdown: sessions are ended, data is flushed
      const force = setTimeout(() => killTree(child, 'SIGKILL'), 10_000)
      await end
      clearTimeout(force)
    },
  }
}

interface Binaries {
  readonly postgres: string
  readonly initdb: string
}

async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return (await import(name)) as Binaries
  } catch (cause) {
    const message = `no embedded PostgreSQL for ${process.platform}-${process.arch} (${name}); set DATABASE_URL to your own server`
    throw new EmbeddedServerError(message, { cause })
  }
}

/**
 * The npm package cannot hold the version links of its shared libraries (libicuuc.so.60 → libicuuc.so.60.2) and
 * makes them by an install script. They are made here instead: install scripts stay off, node_modules untouched.
 */
async function linkLibraries(binaries: Binaries, folder: string): Promise<NodeJS.ProcessEnv> {
  if (process.platform !== 'linux') return {}
  const root = dirname(dirname(dirname(binaries.postgres)))
  const links = await readFile(join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]')
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  for (const link of JSON.parse(links) as { source: string; target: string }[]) {
    if (dirname(link.target) !== 'native/lib') continue
    await symlink(join(root, link.source), join(folder, link.target.slice('native/lib/'.length)))
  }
  return { LD_LIBRARY_PATH: `${folder}:${join(root, 'native/lib')}` }
}

async function passwordOf(path: string): Promise<string> {
  const known = await readFile(path, 'utf8').catch(() => null)
  if (known) return known.trim()
  const password = randomBytes(24).toString('hex')
  await writeFile(path, `${password}\n`, { mode: 0o600 })
  return password
}

/** `PG_VERSION` is the first file that initdb writes; the marker beside it is our last. */
async function isInitialised(data: string): Promise<boolean> {
  return (await readFile(join(dirname(data), 'initialised'), 'utf8').catch(() => '')) !== ''
}

/** PostgreSQL's programs, and how they are run. */
interface Programs {
  readonly binaries: Binaries
  readonly user: Awaited<ReturnType<typeof asPlainUser>>
  readonly env: NodeJS.ProcessEnv
}

async function initialise(
  { data, passwordFile }: { readonly data: string; readonly passwordFile: string },
  { binaries, user, env }: Programs,
): Promise<void> {
  await rm(data, { recursive: true, force: true }) // what a killed initdb left
  await mkdir(data, { mode: 0o700 })
  await chmod(data, 0o700)
  await user.own([data, passwordFile])
  const [file, args] = user.command(binaries.initdb, [
    `--pgdata=${data}`,
    '--username=longshore',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    // Rounds are for passwords that can be guessed, and cost each connection 6 ms of processor: ours has 24 random bytes.
    '--set=scram_iterations=1',
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
  ])
  const result = await runProgram(file, args, { env, cwd: dirname(data) })
  if (result.exitCode !== 0) throw new EmbeddedServerError(`initdb failed: ${result.stderr}${result.stdout}`)
  // Without it the next start takes the data for what a killed initdb left.
  const marker = join(dirname(data), 'initialised')
  await writeSynced(marker, `${new Date().toISOString()}\n`)
  await syncFolderOf(marker)
}

function serverArguments(data: string, port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_buffers: '64MB',
    max_connections: '200',
    max_wal_size: '512MB',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
  }
  return [
    '-D',
    data,
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`]),
  ]
}

/** Waits out a server that still holds the folder: its process died, so it is going down as well. */
async function waitForPredecessor(data: string): Promise<void> {
  const until = Date.now() + PREDECESSOR_MS
  for (;;) {
    const pid = Number((await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0])
    if (!pid || !isAlive(pid)) return
    if (Date.now() > until) {
      throw new EmbeddedServerError(
        `${data} is in use by PostgreSQL process ${pid}: is Longshore already running with this DATA_DIR? Stop it or set another DATA_DIR`,
      )
    }
    await sleep(100)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The kernel picks; the server takes it a moment later. A thief in between makes the start fail, and says so. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}

async function ready(child: ChildProcess, lines: string[]): Promise<void> {
  const failure = ended(child).then(() => {
    throw new EmbeddedServerError(`PostgreSQL did not start: ${lines.join('\n')}`)
  })
  const says = new Promise<void>((resolve) => {
    child.stderr?.on('data', () => lines.some((line) => line.includes('ready to accept')) && resolve())
  })
  const timer = new AbortController()
  const timeout = sleep(STARTUP_MS, undefined, { signal: timer.signal }).then(() => {
    killTree(child, 'SIGKILL')
    throw new EmbeddedServerError(`PostgreSQL was not ready after ${STARTUP_MS} ms: ${lines.join('\n')}`)
  })
  failure.catch(() => undefined)
  timeout.catch(() => undefined)
  try {
    await Promise.race([failure, says, timeout])
  } finally {
    timer.abort()
  }
}
