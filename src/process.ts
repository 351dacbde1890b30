import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export type { ChildProcess }

/** Between SIGTERM and SIGKILL. */
const KILL_MS = 2_000
const POLL_MS = 20

/**
 * Starts a program with an argument list. The only place that starts child processes: there is no shell, so no
 * argument can become a command.
 *
 * On Linux the child is killed by the kernel when this process dies, also by kill -9 (`setpriv --pdeathsig`),
 * and it leads its own process group, so that {@link killTree} reaches its helpers.
 */
export function startProgram(
  file: string,
  args: readonly string[],
  options: SpawnOptions & { deathSignal?: 'KILL' | 'INT' } = {},
): ChildProcess {
  const { deathSignal = 'KILL', ...rest } = options
  const [program, list] = SETPRIV
    ? [SETPRIV, ['--pdeathsig', deathSignal, '--', file, ...args]]
    : [file, [...args]]
  const child = spawn(program, list, { ...rest, shell: false, detached: true })
  // A pipe that breaks is a program that ends, which is waited for; nobody else may be there to hear of it.
  for (const pipe of child.stdio ?? []) pipe?.on('error', () => undefined)
  return child
}

const SETPRIV = process.platform === 'linux' ? findSetpriv() : null

function findSetpriv(): string | null {
  return ['/usr/bin/setpriv', '/bin/setpriv', '/sbin/setpriv'].find((path) => existsSync(path)) ?? null
}

/**
 * Sends `signal` to the child and all that it started, also to what it left behind when it ended. It never throws: timers
 * and listeners call it, where an error would end the process.
 *
 * @returns whether there was anything left of it that this account may end
 */
export function killTree(child: ChildProcess, signal: NodeJS.Signals): boolean {
  if (child.pid === undefined) return false
  try {
    process.kill(-child.pid, signal)
    return true
  } catch {
    return false
  }
}

/** How a program ended. `stdout` and `stderr` hold at most `keepBytes` of each: the last ones, or those of `keep`. */
export interface ProgramResult {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string
  readonly onStderr?: (bytes: Buffer) => void
  /** Hears of the process once it runs. */
  readonly onStart?: (pid: number) => void
  readonly keepBytes?: number
  /** Which bytes of `stdout` are kept, where there are more than `keepBytes`. */
  readonly keep?: 'first' | 'last'
  readonly deathSignal?: 'KILL' | 'INT'
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs a program to its end. A non-zero exit is a result, not an error.
 *
 * Aborting `signal` sends SIGTERM to the whole process group, SIGKILL 2 s later, and rejects with the signal's
 * reason after the program has ended: nothing of it is left when the promise settles.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: RunOptions,
): Promise<ProgramResult> {
  const { signal } = options
  signal?.throwIfAborted()
  const child = startProgram(file, args, {
    ...(options.cwd ? { cwd: options.cwd } : {}),
    ...(options.env ? { env: options.env } : {}),
    ...(options.deathSignal ? { deathSignal: options.deathSignal } : {}),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  if (child.pid !== undefined) options.onStart?.(child.pid)
  const keepBytes = options.keepBytes ?? 256 * 1024
  const stdout = options.keep === 'first' ? new Head(keepBytes) : new Tail(keepBytes)
  const stderr = new Tail(keepBytes)
  child.stdout?.on('data', (bytes: Buffer) => stdout.push(bytes))
  child.stderr?.on('data', (bytes: Buffer) => {
    stderr.push(bytes)
    options.onStderr?.(bytes)
  })
  child.stdin?.end(options.input ?? '')
  const stopKilling = killWhenAborted(child, signal)
  try {
    const [exitCode, endSignal] = await ended(child)
    if (signal?.aborted) await killRest(child)
    signal?.throwIfAborted()
    return { exitCode, signal: endSignal, stdout: stdout.text(), stderr: stderr.text() }
  } finally {
    stopKilling()
  }
}

/** Resolves when the child has ended and its pipes are closed; rejects when it could not be started. */
export function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  return new Promise((resolve, reject) => {
    child.on('error', reject) // the first one counts, and none is without a listener
    child.once('close', (code, signal) => resolve([code, signal]))
  })
}

/** Ends the child when `signal` aborts: SIGTERM, and SIGKILL after 2 s. Returns what stops watching. */
export function killWhenAborted(child: ChildProcess, signal: AbortSignal | undefined): () => void {
  let force: NodeJS.Timeout | undefined
  const onAbort = () => {
    killTree(child, 'SIGTERM')
    force = setTimeout(() => killTree(child, 'SIGKILL'), KILL_MS)
  }
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return () => {
    clearTimeout(force)
    signal?.removeEventListener('abort', onAbort)
  }
}

/** A helper that has closed its outputs outlives the end of its program: what an aborted one left is killed. */
async function killRest(child: ChildProcess): Promise<void> {
  // Not until the group is gone: a process that nobody has reaped yet is in it as well.
  for (let look = 0; look < 5 && killTree(child, 'SIGKILL'); look++) await sleep(POLL_MS)
}

class Head {
  #chunks: Buffer[] = []
  #missing: number

  constructor(limit: number) {
    this.#missing = limit
  }

  push(bytes: Buffer): void {
    if (this.#missing === 0) return
    const kept = bytes.subarray(0, this.#missing)
    this.#chunks.push(kept)
    this.#missing -= kept.length
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }
}

class Tail {
  #chunks: Buffer[] = []
  #bytes = 0
  #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  push(bytes: Buffer): void {
    this.#chunks.push(bytes)
    this.#bytes += bytes.length
    while (this.#chunks.length > 1 && this.#bytes - (this.#chunks[0]?.length ?? 0) >= this.#limit) {
      this.#bytes -= this.#chunks.shift()?.length ?? 0
    }
  }

  text(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#limit).toString('utf8')
  }
}
