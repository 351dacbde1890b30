import Docker from 'dockerode'
import type { BuilderChoice } from '../../config.js'
import { EPOCH_LABEL } from '../names.js'
import { checkEngine } from './check-engine.js'
import { BuildLimiter, type LimitOptions } from './build-limits.js'
import { EngineCalls, ignoreMissing, ignoreMissingOrInUse, withTimeout } from './calls.js'
import { EngineClient } from './client.js'
import { addressIn, createContainer, hasLabels, startContainer } from './containers.js'
import type { CommandResult, ContainerCommand } from './command.js'
import { lastLines, openLogs } from './container-logs.js'
import type {
  BuildRequest,
  ExitState,
  ContainerEvent,
  ContainerLog,
  ContainerLogsQuery,
  ContainerRequest,
  ContainerState,
  ContainerSummary,
  ImageSummary,
  Docker as DockerPort,
  Image,
} from './docker.js'
import { lastExit, readEvents } from './events.js'
import { readHealthCheck } from './health-check.js'
import { buildImage, findImage, usesBuildkit } from './images.js'
import { type Listening, listeningInside, listeningOf } from './listening.js'
import { sendBy } from './modem.js'
import { keepEnded, removeWhole } from './removal.js'
import { runCommand } from './run-command.js'

const PING_MS = 3_000
const KEPT_RUNNING = 'unless-stopped'
/** How much longer than its grace time a stop may take. */
const STOP_MARGIN_MS = 30_000
/** Looking through a large build cache takes the engine long. */
const PRUNE_MS = 300_000

export interface DockerodeOptions extends Omit<LimitOptions, 'isLocal'> {
  readonly dockerHost: string
  readonly dockerTimeoutMs: number
  readonly builder: BuilderChoice
  readonly buildSilenceMs: number
}

/**
 * Docker over its HTTP API. The only file that loads dockerode, which knows the paths of calls; `client.ts` sends them, and
 * `calls.ts` bounds them.
 */
export class Dockerode implements DockerPort {
  readonly #calls: EngineCalls
  readonly #limiter: BuildLimiter
  #machine: Promise<Machine> | null = null

  constructor(private readonly options: DockerodeOptions) {
    const client = new EngineClient(options.dockerHost)
    const docker = new Docker({ socketPath: 'none: the client has the address' })
    this.#calls = new EngineCalls(client, (stop) => sendBy(client, docker, stop), options)
    const isLocal = options.dockerHost.startsWith('unix://')
    this.#limiter = new BuildLimiter({ ...options, isLocal }, async () => (await this.#info()).MemTotal)
  }

  ping(): Promise<string> {
    const { dockerHost, builder } = this.options
    return withTimeout((givenUp) => checkEngine(dockerHost, builder, givenUp), PING_MS)
  }

  async rootFolder(signal?: AbortSignal): Promise<string> {
    return (await this.#calls.make(() => this.#info(), signal)).DockerRootDir
  }

  /** Remembered: the engine takes long to tell all about itself, and this stays what it is. */
  async #info(): Promise<Machine> {
    this.#machine ??= this.#calls.query((docker) => docker.info()) as Promise<Machine>
    try {
      return await this.#machine
    } catch (error) {
      this.#machine = null
      throw error
    }
  }

  build(request: BuildRequest, signal: AbortSignal): Promise<Image> {
    const { builder, buildSilenceMs: silenceMs } = this.options
    return buildImage(this.#calls, { request, builder, silenceMs, limiter: this.#limiter }, signal)
  }

  usesBuildkit(signal: AbortSignal): Promise<boolean> {
    return usesBuildkit(this.#calls, this.options.builder, signal)
  }

  findImage(reference: string, signal?: AbortSignal): Promise<Image | null> {
    return this.#calls.query((docker) => findImage(docker, reference), signal)
  }

  async tagImage(id: string, reference: string, signal?: AbortSignal): Promise<boolean> {
    const at = reference.lastIndexOf(':')
    const name = { repo: reference.slice(0, at), tag: reference.slice(at + 1) }
    return (await this.#calls.make((docker) => ignoreMissing(docker.getImage(id).tag(name)), signal)) !== null
  }

  async removeImage(reference: string): Promise<void> {
    await this.#calls.make((docker) =>
      ignoreMissingOrInUse(docker.getImage(reference).remove({ force: true })),
    )
  }

  async listImages(label: string): Promise<ImageSummary[]> {
    const found = await this.#calls.query((docker) => docker.listImages({ filters: { label: [label] } }))
    return found.map(({ Id, RepoTags }) => ({
      id: Id,
      names: (RepoTags ?? []).filter((name) => !name.startsWith('<none>')),
    }))
  }

  async createContainer(request: ContainerRequest, signal: AbortSignal): Promise<void> {
    await this.#calls.make((docker) => createContainer(docker, request, signal), signal)
  }

  async startContainer(name: string, signal: AbortSignal): Promise<void> {
    await this.#calls.make((docker) => startContainer(docker, name), signal)
  }

  async findContainer(name: string, signal?: AbortSignal): Promise<ContainerState | null> {
    const found = await this.#inspect(name, signal)
    if (!found) return null
    return {
      // A container that the engine is about to start again counts as running there.
      running: found.State.Running && !found.State.Restarting,
      paused: found.State.Paused,
      exitCode: found.State.ExitCode,
      outOfMemory: found.State.OOMKilled,
      restarts: found.RestartCount,
      keptRunning: found.HostConfig.RestartPolicy?.Name === KEPT_RUNNING,
      health: healthOf(found.State.Health?.Status),
      healthCheck: readHealthCheck(found),
      address: addressIn(found.NetworkSettings),
    }
  }

  lastExit(name: string): Promise<ExitState | null> {
    return this.#calls.make((docker) => lastExit(docker, name))
  }

  async keepRunning(name: string, signal: AbortSignal): Promise<void> {
    const policy = { RestartPolicy: { Name: KEPT_RUNNING } }
    await this.#calls.make((docker) => docker.getContainer(name).update(policy), signal)
  }

  lastLines(name: string, count: number): Promise<string[]> {
    return lastLines(this.#calls, name, count)
  }

  containerLogs(name: string, query: ContainerLogsQuery, signal: AbortSignal): Promise<ContainerLog | null> {
    return openLogs(this.#calls, { name, ...query }, signal)
  }

  async stopContainer(name: string, graceSeconds: number): Promise<void> {
    const found = await this.#inspect(name)
    if (found) await this.#stop(found.Id, graceSeconds)
  }

  /** By its id: a name may be another container's by the time that a call is carried out. */
  async #stop(id: string, graceSeconds: number): Promise<void> {
    const leastMs = graceSeconds * 1000 + STOP_MARGIN_MS
    await keepEnded((work) => this.#calls.make(work), id)
    const stop = (docker: Docker) => ignoreMissing(docker.getContainer(id).stop({ t: graceSeconds }))
    await this.#calls.make(stop, undefined, leastMs)
  }

  runCommand(command: ContainerCommand, signal: AbortSignal): Promise<CommandResult | null> {
    return runCommand(this.#calls, command, signal)
  }

  async listeningOn(name: string, signal: AbortSignal): Promise<Listening[] | null> {
    const pid = (await this.#inspect(name, signal))?.State.Pid
    const isLocal = this.options.dockerHost.startsWith('unix://')
    const seen = pid && isLocal ? await listeningOf(pid) : null
    return seen ?? listeningInside((command) => this.runCommand({ ...command, container: name }, signal))
  }

  async removeContainer(
    name: string,
    graceSeconds: number,
    only: ContainerRequest['labels'] = {},
  ): Promise<void> {
    const found = await this.#inspect(name)
    if (!found || !hasLabels(found.Config.Labels, only)) return
    await this.#stop(found.Id, graceSeconds)
    await removeWhole((work) => this.#calls.make(work), found.Id)
  }

  #inspect(name: string, signal?: AbortSignal): Promise<Docker.ContainerInspectInfo | null> {
    return this.#calls.query((docker) => ignoreMissing(docker.getContainer(name).inspect()), signal)
  }

  async listContainers(label: string): Promise<ContainerSummary[]> {
    const query = { all: true, filters: { label: [label, EPOCH_LABEL] } }
    const found = await this.#calls.query((docker) => docker.listContainers(query))
    return found.map((container) => ({
      name: (container.Names[0] ?? '').replace(/^\//, ''),
      labels: container.Labels,
      running: container.State === 'running',
      address: addressIn(container.NetworkSettings),
    }))
  }

  async containerEvents(label: string, signal: AbortSignal): Promise<AsyncIterable<ContainerEvent>> {
    const filters = { label: [label], type: ['container' as const] }
    return readEvents(
      await this.#calls.make((docker) => docker.getEvents({ filters, abortSignal: signal }), signal),
    )
  }

  async pruneBuildCache(keepBytes: number, signal?: AbortSignal): Promise<void> {
    // Not pruneBuilder(): it drops its options, and without a bound the engine frees the whole cache.
    const statusCodes = { 200: true, 500: 'server error' } as const
    const query = { 'keep-storage': keepBytes }
    const prune = () => this.#calls.client.ask({ method: 'POST', path: '/build/prune', query, statusCodes })
    await withTimeout(prune, PRUNE_MS, signal)
  }
}

interface Machine {
  readonly DockerRootDir: string
  readonly MemTotal: number
}

function healthOf(status: string | undefined): ContainerState['health'] {
  return status === 'healthy' || status === 'unhealthy' || status === 'starting' ? status : null
}
