import type { Readable } from 'node:stream'
import type { CommandResult, ContainerCommand, HealthCheck } from './command.js'
import type { Listening } from './listening.js'

/** The bridge that all containers of apps are on. */
export const NETWORK = 'longshore'

/** What a build writes: a line of the engine, or bytes of the program that a step runs; steps run at the same time. */
export interface BuildOutput {
  line(text: string): void
  /** The engine has left lines out; `text` says why, and how to have them. */
  clipped(text: string): void
  bytes(output: StepOutput): Promise<void>
  /** The step says no more, or begins anew. */
  ended(step: string): void
}

/** What the program that a step runs has written. */
export interface StepOutput {
  readonly step: string
  readonly source: 'STDOUT' | 'STDERR'
  /** In pieces of any size. */
  readonly bytes: Buffer
  /** What each line that ends in them begins with: the step's number, where it would not be clear whose line it is. */
  readonly prefix: string
}

/** A file, folder or link that is sent to a build. A submodule is an empty folder. */
export interface ContextEntry {
  /** Below the context's root. */
  readonly path: string
  /** The path as it is, where it is not UTF-8; null: as `path` says. */
  readonly rawPath: Buffer | null
  readonly kind: 'file' | 'folder' | 'link' | 'submodule'
  readonly isExecutable: boolean
  /** Bytes of a file. */
  readonly size: number
  /** Names its content. */
  readonly id: string
}

/** Contents of files and targets of links, by the ids of their entries. */
export interface Contents extends Disposable {
  /** One after another: each is read to its end before the next one is asked for. */
  read(id: string): AsyncIterable<Buffer>
}

/** What a build is made of. Nothing of it is read before a builder asks for it. */
export interface BuildContext {
  /** What `COPY` finds, without what is ignored. */
  readonly entries: readonly ContextEntry[]
  /** What the build reads itself, whether it is ignored or not: the Dockerfile. */
  readonly dockerfileEntries: readonly ContextEntry[]
  /** Of all of them, in seconds since 1970. */
  readonly modifiedAt: number
  contents(signal: AbortSignal): Contents
  /**
   * All as a tar, for the classic builder; errors destroy the stream. With a `.dockerignore` where something of it is not
   * to be in the image: the builder leaves it and the Dockerfile out as it says.
   */
  tar(signal: AbortSignal): Readable
}

export interface BuildRequest {
  readonly context: BuildContext
  /** Below the context's root. */
  readonly dockerfile: string
  readonly tag: string
  readonly labels: Readonly<Record<string, string>>
  readonly noCache: boolean
  /** A stage of the Dockerfile; null: the last one. */
  readonly target: string | null
  readonly args: Readonly<Record<string, string>>
  /** What steps can mount (`RUN --mount=type=secret,id=NAME`), by name; BuildKit only. */
  readonly secrets: ReadonlyMap<string, string>
  /** `os/arch[/variant]`; null: the engine's own. */
  readonly platform: string | null
  readonly output: BuildOutput
}

export interface Image {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
  /** TCP ports that the image exposes, ascending. */
  readonly exposedPorts: readonly number[]
  /** Paths that the image declares as volumes. */
  readonly volumes: readonly string[]
}

export interface ContainerRequest {
  readonly name: string
  /** The image's id. */
  readonly image: string
  /** Instead of the image's CMD, as arguments of its ENTRYPOINT; null: the image's. */
  readonly command: readonly string[] | null
  readonly env: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly memoryBytes: number
  readonly cpus: number
  readonly pids: number
}

export interface ContainerState {
  readonly running: boolean
  /** It runs, but the engine has frozen it. */
  readonly paused: boolean
  readonly exitCode: number
  readonly outOfMemory: boolean
  readonly restarts: number
  /** Whether the engine starts it again whenever it ends: nobody has begun to stop it. */
  readonly keptRunning: boolean
  /** What the engine says of the image's HEALTHCHECK; null: it has none. */
  readonly health: 'starting' | 'healthy' | 'unhealthy' | null
  /** The image's HEALTHCHECK; null: it has none. */
  readonly healthCheck: HealthCheck | null
  /** On Longshore's network; null while it has none. */
  readonly address: string | null
}

/** How a container ended. */
export interface ExitState {
  readonly exitCode: number
  readonly outOfMemory: boolean
}

export interface ImageSummary {
  readonly id: string
  /** `repository:tag`; empty when others have taken its names. */
  readonly names: readonly string[]
}

export interface ContainerSummary {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly running: boolean
  readonly address: string | null
}

/** A line that a container wrote, or a piece of one that is longer than the engine's buffer. */
export interface ContainerOutput {
  /** When the engine got it: RFC 3339 in UTC with nine digits. Never goes back within one stream of a container. */
  readonly at: string
  readonly stream: 'STDOUT' | 'STDERR'
  /** With its newline, if it ends a line. */
  readonly bytes: Buffer
}

/** What a container has written, message by message. */
export interface ContainerLog extends AsyncIterable<ContainerOutput> {
  /** When the container was made; one of its name may have been there before it. */
  readonly createdAt: Date
}

/** Bytes of a file of a container's log. The engine begins a new one behind it, and keeps three. */
export const LOG_FILE_BYTES = 10_000_000

export interface ContainerLogsQuery {
  /** So many lines at most, the last ones; null: all. */
  readonly tail: number | null
  /** From this instant on, itself included; of the form of {@link ContainerOutput.at}. Null: from the beginning. */
  readonly since: string | null
  /** Goes on until the container ends. */
  readonly follow: boolean
}

/** Something happened to a container: `start`, `die`, `oom`, `destroy`, `health_status: healthy`, … */
export interface ContainerEvent {
  readonly action: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

/**
 * A Docker engine, in Longshore's words. Every method rejects with InfrastructureError DOCKER_UNREACHABLE when the
 * engine does not answer within the time that a call may take (DOCKER_TIMEOUT). Aborting a `signal` ends the wait with
 * the signal's reason.
 */
export interface Docker {
  /** The engine's version, within 3 s. */
  ping(): Promise<string>
  /** Where the engine keeps images and containers; a path of its own machine. */
  rootFolder(signal?: AbortSignal): Promise<string>
  /** Builds and then inspects the image. @throws DeployError BUILD_FAILED with exit code and last lines, OUT_OF_MEMORY, BUILD_SECRETS_NEED_BUILDKIT */
  build(request: BuildRequest, signal: AbortSignal): Promise<Image>
  /** Whether builds are BuildKit's, which alone has secrets and caches to mount. */
  usesBuildkit(signal: AbortSignal): Promise<boolean>
  findImage(reference: string, signal?: AbortSignal): Promise<Image | null>
  /** Gives an image one more name. False: there is no such image. */
  tagImage(id: string, reference: string, signal?: AbortSignal): Promise<boolean>
  /** Takes the name away, and the image with its last name unless a container uses it. */
  removeImage(reference: string): Promise<void>
  /** Images with a label, by any name or none. */
  listImages(label: string): Promise<ImageSummary[]>
  /**
   * A created container, not yet started. One of the same name, labels and image is adopted as it is, another one of that
   * name that this installation made is replaced. Not restarted when it ends.
   *
   * @throws LostClaimError when the name is that of a container of a later claim
   * @throws DeployError START_FAILED when it is that of a container of somebody else's
   */
  createContainer(request: ContainerRequest, signal: AbortSignal): Promise<void>
  /** Starts a created or stopped container, lets a paused one go on; one that runs is left alone. @throws DeployError START_FAILED */
  startContainer(name: string, signal: AbortSignal): Promise<void>
  findContainer(name: string, signal?: AbortSignal): Promise<ContainerState | null>
  /** How a container ended last that the engine has started again. Null: it has not ended, or that is long ago. */
  lastExit(name: string): Promise<ExitState | null>
  /** From now on the engine starts it again whenever it ends. */
  keepRunning(name: string, signal: AbortSignal): Promise<void>
  /** Last lines of what it wrote, oldest first. */
  lastLines(name: string, count: number): Promise<string[]>
  /**
   * What a container wrote, in its order. Nothing more is taken from the engine than is read. Null: no such container.
   * Waits for its first answer as long as `signal` lets it: engines may answer with the first line only.
   */
  containerLogs(name: string, query: ContainerLogsQuery, signal: AbortSignal): Promise<ContainerLog | null>
  /** SIGTERM, after `graceSeconds` SIGKILL; it stays stopped and can be started again. No such container counts as done. */
  stopContainer(name: string, graceSeconds: number): Promise<void>
  /**
   * Runs a command inside a container. One that has not ended after `timeoutMs` goes on: the engine cannot end it. Null:
   * no such container, or it does not run.
   */
  runCommand(command: ContainerCommand, signal: AbortSignal): Promise<CommandResult | null>
  /** TCP sockets on which a running container waits for connections. Null: nobody can tell. */
  listeningOn(name: string, signal: AbortSignal): Promise<Listening[] | null>
  /**
   * SIGTERM, after `graceSeconds` SIGKILL, then removal. No such container counts as done, and so does one without the
   * labels `only`. One that gets the name meanwhile is left alone.
   */
  removeContainer(name: string, graceSeconds: number, only?: ContainerRequest['labels']): Promise<void>
  /** With the label, made by Longshore, running or not: what others run of an image has its labels too. */
  listContainers(label: string): Promise<ContainerSummary[]>
  /** What happens to containers with a label, until the connection ends or `signal` aborts; nothing is replayed. */
  containerEvents(label: string, signal: AbortSignal): Promise<AsyncIterable<ContainerEvent>>
  /** Frees build cache beyond `keepBytes`. Aborting `signal` ends the wait; the engine goes on. */
  pruneBuildCache(keepBytes: number, signal?: AbortSignal): Promise<void>
}
