import Docker from 'dockerode'
import type { BuilderChoice } from '../../config.js'
import { InfrastructureError } from '../errors.js'
import { EPOCH_LABEL } from '../names.js'
import { checkEngine } from './check-engine.js'
import { failBrokenAnswers } from './broken-answers.js'
import { BuildLimiter, type LimitOptions } from './build-limits.js'
import { withTimeout, call, ignoreMissing, ignoreMissingOrInUse, isBroken, assertComplete } from './calls.js'
import { withAbort, handleConnectionErrors } from './connections.js'
import { addressIn, createContainer, hasLabels, lastLines, startContainer } from './containers.js'
import { openLogs } from './container-logs.js'
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
import { engineAddress } from './engine-address.js'
import { lastExit, readEvents } from './events.js'
import { buildImage, findImage } from './images.js'
import { type Listening, listeningOf } from './listening.js'

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

/** Docker over its HTTP API. The only file that loads dockerode. */
export class Dockerode implements DockerPort {
  readonly #docker: Docker
  readonly #limiter: BuildLimiter
  #machine: Promise<Machine> | null = null

  constructor(private readonly options: DockerodeOptions) {
    this.#docker = connect(options.dockerHost)
    failBrokenAnswers(this.#docker)
    handleConnectionErrors(this.#docker)
    const isLocal = options.dockerHost.startsWith('unix://')
    this.#limiter = new BuildLimiter({ ...options, isLocal }, async () => (await this.#info()).MemTotal)
  }

  ping(): Promise<string> {
    const { dockerHost, builder } = this.options
    return withTimeout((givenUp) => checkEngine(dockerHost, builder, givenUp), PING_MS)
  }

  async rootFolder(signal?: AbortSignal): Promise<string> {
    return (await this.#call(() => this.#info(), signal)).DockerRootDir
  }

  /** Remembered: the engine takes long to tell all about itself, and this stays what it is. */
  async #info(): Promise<Machine> {
    this.#machine ??= this.#query((docker) => docker.info()) as Promise<Machine>
    try {
      return await this.#machine
    } catch (error) {
      this.#machine = null
      throw error
    }
  }

  /** Bounded by its silence and, by the caller, as a whole. */
  build(request: BuildRequest, signal: AbortSignal): Promise<Image> {
    return call(() => buildImage(this.#docker, this.#limiter, this.options, request, signal), signal)
  }

  findImage(reference: string, signal?: AbortSignal): Promise<Image | null> {
    return this.#query((docker) => findImage(docker, reference), signal)
  }

  async tagImage(id: string, reference: string, signal?: AbortSignal): Promise<boolean> {
    const at = reference.lastIndexOf(':')
    const name = { repo: reference.slice(0, at), tag: reference.slice(at + 1) }
    return (await this.#call((docker) => ignoreMissing(docker.getImage(id).tag(name)), signal)) !== null
  }

  async removeImage(reference: string): Promise<void> {
    await this.#call((docker) => ignoreMissingOrInUse(docker.getImage(reference).remove({ force: true })))
  }

  async listImages(label: string): Promise<ImageSummary[]> {
    const found = await this.#query((docker) => docker.listImages({ filters: { label: [label] } }))
    return found.map(({ Id, RepoTags }) => ({
      id: Id,
      names: (RepoTags ?? []).filter((name) => !name.startsWith('<none>')),
    }))
  }

  async createContainer(request: ContainerRequest, signal: AbortSignal): Promise<void> {
    await this.#call((docker) => createContainer(docker, request, signal), signal)
  }

  async startContainer(name: string, signal: AbortSignal): Promise<void> {
    await this.#call((docker) => startContainer(docker, name), signal)
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
      address: addressIn(found.NetworkSettings),
    }
  }

  lastExit(name: string): Promise<ExitState | null> {
    return this.#call((docker) => lastExit(docker, name))
  }

  async keepRunning(name: string, signal: AbortSignal): Promise<void> {
    const policy = { RestartPolicy: { Name: KEPT_RUNNING } }
    await this.#call((docker) => docker.getContainer(name).update(policy), signal)
  }

  lastLines(name: string, count: number): Promise<string[]> {
    return this.#call((docker) => lastLines(docker, name, count))
  }

  containerLogs(name: string, query: ContainerLogsQuery, signal: AbortSignal): Promise<ContainerLog | null> {
    return call(() => openLogs(this.#docker, name, query, this.options.dockerTimeoutMs, signal), signal)
  }

  async stopContainer(name: string, graceSeconds: number): Promise<void> {
    const found = await this.#inspect(name)
    if (found) await this.#stop(found.Id, graceSeconds)
  }

  /** By its id: a name may be another container's by the time that a call is carried out. */
  async #stop(id: string, graceSeconds: number): Promise<void> {
    const container = this.#docker.getContainer(id)
    const ms = graceSeconds * 1000 + STOP_MARGIN_MS
    await this.#call(() => ignoreMissing(container.update({ RestartPolicy: { Name: 'no' } })))
    await withTimeout(
      () => ignoreMissing(container.stop({ t: graceSeconds })),
      Math.max(ms, this.options.dockerTimeoutMs),
    )
  }

  async listeningOn(name: string): Promise<Listening[] | null> {
    if (!this.options.dockerHost.startsWith('unix://')) return null
    const found = await this.#inspect(name)
    return found?.State.Pid ? listeningOf(found.State.Pid) : null
  }

  async removeContainer(
    name: string,
    graceSeconds: number,
    only: ContainerRequest['labels'] = {},
  ): Promise<void> {
    const found = await this.#inspect(name)
    if (!found || !hasLabels(found.Config.Labels, only)) return
    await this.#stop(found.Id, graceSeconds)
    const container = this.#docker.getContainer(found.Id)
    await this.#call(() => ignoreMissing(container.remove({ force: true, v: true })))
  }

  #inspect(name: string, signal?: AbortSignal): Promise<Docker.ContainerInspectInfo | null> {
    return this.#query((docker) => ignoreMissing(docker.getContainer(name).inspect()), signal)
  }

  async listContainers(label: string): Promise<ContainerSummary[]> {
    const query = { all: true, filters: { label: [label, EPOCH_LABEL] } }
    const found = await this.#query((docker) => docker.listContainers(query))
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
      await this.#call((docker) => docker.getEvents({ filters, abortSignal: signal }), signal),
    )
  }

  async pruneBuildCache(keepBytes: number, signal?: AbortSignal): Promise<void> {
    // Not pruneBuilder(): it drops its options, and without a bound the engine frees the whole cache.
    const prune = () => dial(this.#docker, '/build/prune?', { 'keep-storage': keepBytes })
    await withTimeout(prune, PRUNE_MS, signal)
  }

  /**
   * A call that reads. It is sent once more when the connection breaks: the first call after a restart of the engine
   * may be sent on a connection that is dead already.
   */
  async #query<T>(work: (docker: Docker) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const ask = async () => assertComplete(await this.#call(work, signal))
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof InfrastructureError && isBroken(error.cause))) throw error
      return ask()
    }
  }

  /** `work` asks by the client that it gets: what it asks ends with the wait for it. */
  #call<T>(work: (docker: Docker) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const asked = (givenUp: AbortSignal) => work(withAbort(this.#docker, givenUp))
    return call(() => withTimeout(asked, this.options.dockerTimeoutMs, signal), signal)
  }
}

interface Machine {
  readonly DockerRootDir: string
  readonly MemTotal: number
}

function healthOf(status: string | undefined): ContainerState['health'] {
  return status === 'healthy' || status === 'unhealthy' || status === 'starting' ? status : null
}

function connect(dockerHost: string): Docker {
  // No `version`: unversioned paths let every engine from 20.10 on answer with its newest API.
  const address = engineAddress(dockerHost)
  if (!address) throw new Error(`"${dockerHost}" is not unix:///path or tcp://host:port`)
  // What is left out, docker-modem takes from the environment: with a host it would not take the socket.
  return new Docker({ host: undefined, ...address })
}

/** A POST of the API that dockerode has no method for. */
function dial(docker: Docker, path: string, options: Readonly<Record<string, unknown>>): Promise<unknown> {
  const request = { path, method: 'POST', options, statusCodes: { 200: true, 500: 'server error' } }
  return new Promise((resolve, reject) => {
    docker.modem.dial(request, (error: Error | null, answer: unknown) =>
      error ? reject(error) : resolve(answer),
    )
  })
}
