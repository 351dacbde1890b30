import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BuildCounts, Engine } from './engine.js'
import type { EngineEvent } from './events.js'
import { Fault, type FaultOptions, Gate } from './faults.js'
import { DIALECTS, type Generation } from './generations.js'
import { type FakeContainer, type FakeImage, type FakeNetwork, type Health, newId } from './model.js'
import type { Behaviour } from './program.js'
import { ApiServer, type Call } from './server.js'

export type { Behaviour } from './program.js'
export type { FakeContainer, FakeImage, FakeNetwork } from './model.js'

/**
 * A Docker engine in memory that speaks the real one's HTTP API on a unix socket. Its containers are small web apps on
 * loopback addresses. `docker-contract.test.ts` holds it to the real engine.
 */
export class FakeDocker implements AsyncDisposable {
  /** Every request so far, oldest first. */
  readonly calls: readonly Call[]
  readonly #engine: Engine
  readonly #api: ApiServer
  readonly #folder: string | null

  private constructor(socketPath: string | undefined, speaks: Generation) {
    this.#engine = new Engine(DIALECTS[speaks])
    this.#folder = socketPath === undefined ? mkdtempSync(join(tmpdir(), 'longshore-fake-')) : null
    this.#api = new ApiServer(this.#engine, socketPath ?? join(this.#folder ?? '', 'docker.sock'))
    this.calls = this.#api.calls
  }

  /** An engine with nothing but `baseImage`, listening. `speaks`: as which real one. */
  static async start(
    socketPath?: string,
    baseImage: string | null = 'longshore-test/busybox:local',
    speaks: Generation = '20.10',
  ): Promise<FakeDocker> {
    const docker = new FakeDocker(socketPath, speaks)
    if (baseImage !== null) docker.addImage(baseImage, { labels: { 'longshore.version': '1' } })
    await docker.up()
    return docker
  }

  /** As DOCKER_HOST has it. */
  get host(): string {
    return `unix://${this.socketPath}`
  }

  get socketPath(): string {
    return this.#api.socketPath
  }

  /** By id. */
  get images(): Map<string, FakeImage> {
    return this.#engine.state.images
  }

  /** By id. */
  get containers(): Map<string, FakeContainer> {
    return this.#engine.state.containers
  }

  /** By id. */
  get networks(): Map<string, FakeNetwork> {
    return this.#engine.state.networks
  }

  get builds(): Readonly<BuildCounts> {
    return this.#engine.builds
  }

  /** Everything that was told on the events stream, oldest first. */
  get events(): readonly EngineEvent[] {
    return this.#engine.events.past
  }

  /** Streams of events that are open. */
  get listeners(): number {
    return this.#engine.events.listeners
  }

  /** BuildKit sessions that are open: one for each build under way, none afterwards. */
  get sessions(): number {
    return this.#api.sessions.size
  }

  /** Open connections to the API. */
  get connections(): number {
    return this.#api.connections
  }

  /** What the engine says of itself; may be changed. */
  get about(): Pick<Engine, 'version' | 'id' | 'swarmState' | 'buildCacheBytes'> {
    return this.#engine
  }

  /** First wait before a container that ended is started again, in milliseconds; default 10, doubles each time. */
  set restartDelayMs(value: number) {
    this.#engine.runtime.restartDelayMs = value
  }

  /** Asked at each start of a container. Null: it does what its command says; a web app if that says nothing. */
  set behaviour(decide: (container: FakeContainer) => Behaviour | null) {
    this.#engine.runtime.behaviour = decide
  }

  /** Called with each image that a build made, before it is there: to add a label as a base image would. */
  set onBuild(change: (image: FakeImage) => void) {
    this.#engine.onBuild = change
  }

  /** By name or id. */
  container(reference: string): FakeContainer | null {
    const all = [...this.containers.values()]
    return all.find(({ id, name }) => id === reference || name === reference) ?? null
  }

  /** By tag or id. */
  image(reference: string): FakeImage | null {
    return this.#engine.state.findImage(reference)
  }

  addImage(tag: string, image: Partial<FakeImage> = {}): FakeImage {
    const made: FakeImage = {
      id: `sha256:${newId()}`,
      tags: [],
      labels: {},
      exposedPorts: [],
      env: [],
      cmd: [],
      healthcheck: null,
      size: 4_000_000,
      created: new Date(),
      body: tag,
      ...image,
    }
    this.images.set(made.id, made)
    this.#engine.state.tag(made, tag)
    return made
  }

  /** The container's process ends by itself; its restart policy applies. */
  crash(name: string, exitCode = 1, outOfMemory = false): Promise<void> {
    return this.#engine.runtime.crash(this.#engine.state.container(name), exitCode, outOfMemory)
  }

  /** Somebody stops it, as `docker stop` does. */
  async stop(name: string): Promise<void> {
    await this.#engine.runtime.stop(this.#engine.state.container(name), 0)
  }

  /** Somebody removes it, as `docker rm -f` does. */
  remove(name: string): Promise<void> {
    return this.#engine.runtime.remove(this.#engine.state.container(name))
  }

  setHealth(name: string, health: Health): void {
    this.#engine.runtime.setHealth(this.#engine.state.container(name), health)
  }

  write(name: string, text: string, stream: 1 | 2 = 1): void {
    this.#engine.runtime.write(this.#engine.state.container(name), stream, text)
  }

  /** Spoils requests; the oldest fault that fits strikes. */
  fault(options: FaultOptions): Fault {
    const fault = new Fault(options)
    this.#api.faults.push(fault)
    return fault
  }

  /** Holds requests whose path fits; a build when its steps are done, others before they are carried out. */
  hold(path: RegExp): Gate {
    const gate = new Gate(path)
    this.#api.gates.push(gate)
    return gate
  }

  /** No fault strikes any more, no gate holds. */
  heal(): void {
    for (const fault of this.#api.faults.splice(0)) fault.clear()
    for (const gate of this.#api.gates.splice(0)) gate.release()
  }

  /** Connections break and new ones are refused; containers run on. */
  down(): Promise<void> {
    return this.#api.down()
  }

  /** Answers again, on the same path with the same state. */
  up(): Promise<void> {
    return this.#api.up()
  }

  /** New requests are taken and never answered, until `up()`. */
  hang(): void {
    this.#api.hang()
  }

  /** As a restart of its machine: every container ends; those whose policy says so start again, at other addresses. */
  async reboot(exitCode = 137): Promise<void> {
    await this.down()
    await this.#engine.runtime.haltAll(exitCode)
    await this.#engine.runtime.startByPolicy()
    await this.up()
  }

  /** Takes the server down and all containers with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.heal()
    await this.down()
    await this.#engine.runtime.haltAll(137)
    rmSync(this.#folder ?? this.socketPath, { recursive: true, force: true })
  }
}
