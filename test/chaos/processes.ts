import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type Installation, type ServerProcess, until } from '../support/server.js'

const ENV = {
  WATCH_SECONDS: '25',
  DRAIN_SECONDS: '2',
  // What a dead process held is given back soon.
  LEASE_SECONDS: '10',
  POLL_SECONDS: '1',
  STOP_GRACE_SECONDS: '5',
}
/** A router that was stopped reads what it has missed. */
const CATCH_UP_MS = 1_000

/** A stretch of time, by the clock of this machine in milliseconds. */
export interface Span {
  readonly from: number
  until: number
}

/** One of the processes, over all its lives. */
export interface Slot {
  readonly name: 'routing' | 'other'
  readonly port: number
  readonly env: Readonly<Record<string, string>>
  server: ServerProcess | null
  state: 'up' | 'down' | 'stalled'
}

/** Two processes of Longshore with all roles on one database and one engine; one of them routes. */
export class Processes {
  kills = 0
  stalls = 0
  /** When which process (by its id) was away. A kill has no end. */
  readonly away = new Map<number, Span[]>()
  /** When the router could not answer. */
  readonly windows: (Span & { readonly why: string })[] = []
  /** The most memory that a process had, in MiB. */
  mostMemoryMib = 0
  #isClosed = false

  private constructor(
    private readonly installation: Installation,
    readonly slots: readonly [routing: Slot, other: Slot],
    private readonly broken: (promise: string) => void,
  ) {}

  static async start(installation: Installation, broken: (promise: string) => void): Promise<Processes> {
    const port = await freePort()
    const routing: Slot = { name: 'routing', port: installation.port, env: ENV, server: null, state: 'down' }
    const env = { ...ENV, PORT: String(port), ROUTER: 'off' }
    const other: Slot = { name: 'other', port, env, server: null, state: 'down' }
    const processes = new Processes(installation, [routing, other], broken)
    // One after the other: the first one makes the keys.
    for (const slot of processes.slots) await processes.begin(slot)
    return processes
  }

  get up(): Slot[] {
    return this.slots.filter(({ state }) => state === 'up')
  }

  async begin(slot: Slot): Promise<void> {
    if (this.#isClosed) return
    const starting = this.installation.start(slot.env)
    const server = this.installation.processes.at(-1)
    slot.server = server ?? null
    server?.child.once('exit', (code, signal) => {
      const { pid } = server.child
      const isOurs = pid !== undefined && this.away.get(pid)?.some((span) => span.until === Infinity)
      if (!isOurs && !this.#isClosed)
        this.broken(
          `the ${slot.name} process ended by itself (${code ?? signal}): ${server.output.slice(-2000)}`,
        )
    })
    await starting
    slot.state = 'up'
  }

  /** Kill -9, and a new life after `pauseMs`. */
  async kill(slot: Slot, pauseMs: number): Promise<void> {
    const { server } = slot
    if (!server) return
    this.kills++
    this.lookAtMemory()
    slot.state = 'down'
    const window = this.#leave(slot, 'killed', Infinity)
    await server.kill()
    await sleep(pauseMs)
    const routed = window && this.#untilRouted(server).then((at) => (window.until = at))
    await Promise.all([this.begin(slot), routed]).catch((error: unknown) => {
      this.broken(`the ${slot.name} process does not start again: ${String(error)}`)
    })
  }

  /** SIGSTOP, and SIGCONT after `forMs`. */
  async stall(slot: Slot, forMs: number): Promise<void> {
    const { server } = slot
    if (!server) return
    this.stalls++
    slot.state = 'stalled'
    const window = this.#leave(slot, 'stalled', now() + forMs)
    server.child.kill('SIGSTOP')
    await sleep(forMs)
    server.child.kill('SIGCONT')
    const span = this.away.get(server.child.pid ?? 0)?.at(-1)
    if (span) span.until = now()
    if (window) window.until = now() + CATCH_UP_MS
    slot.state = 'up'
  }

  /** SIGTERM and a new start, as an operator does it. */
  async restart(slot: Slot): Promise<void> {
    const { server } = slot
    if (!server) return
    const window = this.#leave(slot, 'restarted', Infinity)
    slot.state = 'down'
    const tookMs = await server.stop()
    const { exitCode, signalCode } = server.child
    if (exitCode !== 0)
      this.broken(`SIGTERM ended a process with ${exitCode ?? signalCode} after ${tookMs} ms`)
    await this.begin(slot)
    if (window) window.until = now()
  }

  /** The run is over: nobody begins, and whoever ends does so for that. */
  close(): void {
    this.#isClosed = true
  }

  lookAtMemory(): void {
    for (const { server } of this.slots) {
      const mib = server?.child.pid === undefined ? 0 : peakMemoryMib(server.child.pid)
      this.mostMemoryMib = Math.max(this.mostMemoryMib, mib)
    }
  }

  /** Whether something that took so long may have met a router that was away. */
  isExcused(sentAt: number, endedAt: number): boolean {
    return this.windows.some(({ from, until }) => sentAt <= until && endedAt >= from)
  }

  /** Whether the worker of a claim was killed or stalled between two moments. */
  wasAway(owner: string, from: number, until: number): boolean {
    const spans = this.away.get(Number(owner.split(':')[1])) ?? []
    return spans.some((span) => span.from <= until && span.until >= from)
  }

  #leave({ name, server }: Slot, why: string, until: number): Span | null {
    const from = now()
    const pid = server?.child.pid ?? 0
    this.away.set(pid, [...(this.away.get(pid) ?? []), { from, until }])
    if (name === 'other') return null
    const window = { from, until, why }
    this.windows.push(window)
    return window
  }

  /** When a router that is not `before`'s answers whatever it is asked. */
  async #untilRouted(before: ServerProcess): Promise<number> {
    await until(async () => {
      if (this.slots[0].server === before) return false
      return this.installation.fetch('nobody.localhost').then(
        () => true,
        () => false,
      )
    }, 20)
    return now()
  }
}

/** The clock of this machine, with fractions: the database has the same. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}

/** 0: it has ended. */
function peakMemoryMib(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
