import { Addresses } from './addresses.js'
import type { Events } from './events.js'
import type { Dialect } from './generations.js'
import {
  type Endpoint,
  type EngineState,
  type FakeContainer,
  type Health,
  isRunning,
  newId,
  policyOf,
  Refused,
} from './model.js'
import { type Behaviour, type Program, programOf } from './program.js'
import { pause, Run } from './run.js'

/** Starts, ends and restarts containers. */
export class Runtime {
  /** What an image's containers do; null: what their command says. */
  behaviour: (container: FakeContainer) => Behaviour | null = () => null
  /** First wait before a container that ended is started again; it doubles each time, up to a minute. */
  restartDelayMs = 10
  readonly addresses = new Addresses()
  readonly #runs = new Map<string, Run>()
  readonly #restarts = new Map<string, NodeJS.Timeout>()
  #lastNanos = 0n
  readonly #watchers = new Map<string, Set<() => void>>()

  constructor(
    private readonly state: EngineState,
    private readonly events: Events,
    private readonly dialect: Dialect,
  ) {}

  /** False: it runs already, or waits for its restart. It listens when this resolves. @throws Refused */
  async start(container: FakeContainer): Promise<boolean> {
    if (container.paused) throw new Refused(409, 'cannot start a paused container, try unpause instead')
    if (isRunning(container)) return false
    await this.#begin(container)
    return true
  }

  async #begin(container: FakeContainer): Promise<void> {
    this.#cancelRestart(container)
    const networks = container.endpoints.map(({ network }) => this.state.networkFor(network))
    const image = this.state.images.get(container.imageId) ?? null
    const program = programOf(container, image, this.behaviour(container))
    if (program.startError) {
      container.error = program.startError.message
      container.exitCode = 127
      throw new Refused(program.startError.status, program.startError.message)
    }
    const run = new Run(container, program, this.addresses, {
      write: (stream, text) => this.write(container, stream, text),
      exit: (code, outOfMemory) => this.crash(container, code, outOfMemory),
    })
    this.#runs.set(container.id, run)
    for (const endpoint of container.endpoints) this.#takeAddress(endpoint)
    Object.assign(container, { status: 'running', exitCode: 0, error: '', oomKilled: false, program })
    container.manuallyStopped = false
    container.startedAt = new Date()
    if (container.healthcheck) container.health = 'starting'
    for (const { id, name } of networks) this.events.network(id, name, 'connect', { container: container.id })
    this.events.container(container, 'start')
    if (container.healthcheck) void this.#watchHealth(container, program, run.signal)
    await run.begin()
  }

  /** SIGTERM, then SIGKILL. False: it does not run. */
  async stop(container: FakeContainer, graceMs: number): Promise<boolean> {
    if (!isRunning(container)) return false
    container.manuallyStopped = true
    if (container.status === 'restarting') this.#giveUpRestart(container)
    else {
      this.events.container(container, 'kill', { signal: '15' })
      const { termCode = 143, stopMs = 0 } = container.program ?? {}
      // What pays no heed to SIGTERM is killed at once: nobody wants to wait for a fake.
      const killed = termCode === null || stopMs > graceMs
      const wait = Math.min(stopMs, graceMs)
      if (wait > 0) await pause(wait, this.#runs.get(container.id)?.signal)
      if (container.status !== 'running') return true
      if (killed) this.events.container(container, 'kill', { signal: '9' })
      if (this.dialect.stopsFirst) this.events.container(container, 'stop')
      await this.#end(container, killed ? 137 : (termCode ?? 137))
      if (this.dialect.stopsFirst) return true
    }
    this.events.container(container, 'stop')
    return true
  }

  async kill(container: FakeContainer, signal: number): Promise<void> {
    container.manuallyStopped = true
    if (container.status === 'restarting') return this.#giveUpRestart(container)
    this.events.container(container, 'kill', { signal: String(signal) })
    const termCode = container.program?.termCode ?? null
    if (signal !== 9 && (signal !== 15 || termCode === null)) return
    if (container.status === 'running') await this.#end(container, signal === 9 ? 137 : (termCode ?? 137))
  }

  /** The container's process ends by itself; its restart policy applies. */
  async crash(container: FakeContainer, exitCode: number, outOfMemory = false): Promise<void> {
    if (container.status !== 'running') return
    if (outOfMemory) this.events.container(container, 'oom')
    await this.#end(container, exitCode, outOfMemory)
  }

  setHealth(container: FakeContainer, health: Health): void {
    if (container.health === health) return
    container.health = health
    container.failingStreak = health === 'unhealthy' ? (container.healthcheck?.Retries ?? 3) : 0
    this.events.container(container, `health_status: ${health}`)
  }

  write(container: FakeContainer, stream: 1 | 2, text: string): void {
    const now = BigInt(Date.now()) * 1_000_000n
    this.#lastNanos = now > this.#lastNanos ? now : this.#lastNanos + 1n
    container.logs.push({ stream, text, nanos: this.#lastNanos })
    this.#changed(container)
  }

  /** Resolves when it has no process any more, or is removed. */
  async ended(container: FakeContainer, signal: AbortSignal): Promise<void> {
    while (container.status === 'running' && !signal.aborted) await this.change(container, signal)
  }

  /** Resolves at the next change of its state or output. */
  change(container: FakeContainer, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(container.id) ?? new Set()
      this.#watchers.set(container.id, watchers)
      const finish = () => {
        watchers.delete(finish)
        signal.removeEventListener('abort', finish)
        resolve()
      }
      watchers.add(finish)
      signal.addEventListener('abort', finish, { once: true })
    })
  }

  /** Ends it, if it runs, and forgets it. */
  async remove(container: FakeContainer): Promise<void> {
    if (isRunning(container)) await this.kill(container, 9)
    this.#cancelRestart(container)
    this.state.containers.delete(container.id)
    this.events.container(container, 'destroy')
    this.#changed(container)
    this.#watchers.delete(container.id)
  }

  /** Connects it to one more network, at an address of its own if it runs. */
  async attach(container: FakeContainer, network: string): Promise<void> {
    const endpoint = { network, address: '', endpointId: '' }
    container.endpoints.push(endpoint)
    const run = this.#runs.get(container.id)
    if (!run) return
    this.#takeAddress(endpoint)
    await run.attach(endpoint)
  }

  async detach(container: FakeContainer, endpoint: Endpoint): Promise<void> {
    container.endpoints.splice(container.endpoints.indexOf(endpoint), 1)
    await this.#runs.get(container.id)?.leave(endpoint)
    this.#freeAddress(container, endpoint)
  }

  /** What a start of the engine does to containers whose policy asks for it. */
  async startByPolicy(): Promise<void> {
    // Newest first: an address that a container had before is likely to be another's now.
    for (const container of [...this.state.containers.values()].reverse()) {
      const policy = policyOf(container)
      const wanted = policy === 'always' || (policy === 'unless-stopped' && !container.manuallyStopped)
      if (wanted && container.status !== 'created') await this.start(container).catch(ignore)
    }
  }

  /** What the end of an engine, or of its machine, does to all that runs. */
  async haltAll(exitCode: number): Promise<void> {
    for (const container of this.state.containers.values()) {
      if (container.status === 'restarting') this.#giveUpRestart(container)
      if (container.status === 'running') await this.#end(container, exitCode, false, false)
    }
  }

  async #watchHealth(container: FakeContainer, program: Program, signal: AbortSignal): Promise<void> {
    if (program.health === 'starting') return
    await pause(program.healthAfterMs, signal)
    if (signal.aborted) return
    const command = container.healthcheck?.Test.slice(1).join(' ') ?? ''
    for (const action of [`exec_create: ${command}`, `exec_start: ${command}`]) {
      this.events.container(container, action, { execID: container.id })
    }
    const exitCode = program.health === 'healthy' ? '0' : '1'
    this.events.container(container, 'exec_die', { execID: container.id, exitCode })
    this.setHealth(container, program.health)
  }

  async #end(container: FakeContainer, exitCode: number, outOfMemory = false, repair = true): Promise<void> {
    const run = this.#runs.get(container.id)
    this.#runs.delete(container.id)
    Object.assign(container, { status: 'exited', paused: false, exitCode, oomKilled: outOfMemory })
    container.finishedAt = new Date()
    if (container.health) container.health = 'unhealthy'
    const policy = policyOf(container)
    const wanted =
      ['always', 'unless-stopped'].includes(policy) || (policy === 'on-failure' && exitCode !== 0)
    if (repair && wanted && !container.manuallyStopped) this.#restartLater(container)
    const closed = run?.[Symbol.asyncDispose]() // it stops listening here and now
    this.events.container(container, 'die', { exitCode: String(exitCode) })
    for (const endpoint of container.endpoints) this.#freeAddress(container, endpoint)
    this.#changed(container)
    await closed
  }

  #takeAddress(endpoint: Endpoint): void {
    endpoint.address = this.addresses.take()
    endpoint.endpointId = newId()
  }

  #freeAddress(container: FakeContainer, endpoint: Endpoint): void {
    if (endpoint.address) this.addresses.free(endpoint.address)
    Object.assign(endpoint, { address: '', endpointId: '' })
    const network = [...this.state.networks.values()].find(({ id, name }) =>
      [id, name].includes(endpoint.network),
    )
    if (network) this.events.network(network.id, network.name, 'disconnect', { container: container.id })
  }

  #restartLater(container: FakeContainer): void {
    container.status = 'restarting'
    const wait = Math.min(this.restartDelayMs * 2 ** container.restartCount, 60_000)
    container.restartCount++
    const again = () => void this.#begin(container).catch(ignore)
    this.#restarts.set(container.id, setTimeout(again, wait).unref())
  }

  #giveUpRestart(container: FakeContainer): void {
    this.#cancelRestart(container)
    container.status = 'exited'
    this.#changed(container)
  }

  #cancelRestart(container: FakeContainer): void {
    clearTimeout(this.#restarts.get(container.id))
    this.#restarts.delete(container.id)
  }

  #changed(container: FakeContainer): void {
    for (const watcher of [...(this.#watchers.get(container.id) ?? [])]) watcher()
  }
}

function ignore(): void {}
