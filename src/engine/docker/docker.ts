import type { Readable } from 'node:stream'

/** What a build writes: a line of the engine, or bytes of the program that a step runs. */
export interface BuildOutput {
  line(text: string): void
  bytes(source: 'STDOUT' | 'STDERR', bytes: Buffer): Promise<void>
}

export interface BuildRequest {
  /** A tar of the build context. */
  readonly context: Readable
  /** Below the context's root. */
  readonly dockerfile: string
  readonly tag: string
  readonly labels: Readonly<Record<string, string>>
  readonly noCache: boolean
  readonly output: BuildOutput
}

export interface Image {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
  /** TCP ports that the image exposes, ascending. */
  readonly exposedPorts: readonly number[]
}

export interface ContainerRequest {
  readonly name: string
  readonly image: string
  readonly env: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly memoryBytes: number
  readonly cpus: number
  readonly pids: number
}

export interface ContainerState {
  readonly running: boolean
  readonly exitCode: number
  readonly outOfMemory: boolean
  readonly restarts: number
  /** On Longshore's network; null while it has none. */
  readonly address: string | null
}

export interface ContainerSummary {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly running: boolean
  readonly address: string | null
}

/**
 * A Docker engine, in Longshore's words. Every method rejects with InfrastructureError DOCKER_UNREACHABLE when the
 * engine does not answer.
 */
export interface Docker {
  /** The engine's version, within 3 s. */
  ping(): Promise<string>
  /** Builds and then inspects the image. @throws DeployError BUILD_FAILED with exit code and last lines */
  build(request: BuildRequest, signal: AbortSignal): Promise<Image>
  findImage(reference: string): Promise<Image | null>
  removeImage(reference: string): Promise<void>
  /** Creates and starts; a container of the same name and label is replaced. Not restarted when it ends. */
  startContainer(request: ContainerRequest, signal: AbortSignal): Promise<void>
  findContainer(name: string): Promise<ContainerState | null>
  /** From now on the engine starts it again whenever it ends. */
  keepRunning(name: string): Promise<void>
  /** Last lines of what it wrote, oldest first. */
  lastLines(name: string, count: number): Promise<string[]>
  /** SIGTERM, after `graceSeconds` SIGKILL, then removal. No such container counts as done. */
  removeContainer(name: string, graceSeconds: number): Promise<void>
  listContainers(label: string): Promise<ContainerSummary[]>
  listImages(label: string): Promise<string[]>
  /** Frees build cache beyond `keepBytes`. */
  pruneBuildCache(keepBytes: number): Promise<void>
}
