import Docker from 'dockerode'
import type { BuilderChoice } from '../../config.js'
import { DeployError } from '../errors.js'
import { followBuild } from './build-stream.js'
import { bounded, call, gone } from './calls.js'
import { containerOptions } from './container-options.js'
import type {
  BuildRequest,
  ContainerRequest,
  ContainerState,
  ContainerSummary,
  Docker as DockerPort,
  Image,
} from './docker.js'

export const NETWORK = 'longshore'
const PING_MS = 3_000

export interface DockerodeOptions {
  readonly dockerHost: string
  readonly builder: BuilderChoice
  readonly buildSilenceMs: number
}

/** Docker over its HTTP API. The only file that knows dockerode. */
export class Dockerode implements DockerPort {
  readonly #docker: Docker
  #networkReady: Promise<void> | null = null

  constructor(private readonly options: DockerodeOptions) {
    this.#docker = connect(options.dockerHost)
  }

  async ping(): Promise<string> {
    return (await bounded(this.#docker.version(), PING_MS)).Version
  }

  build(request: BuildRequest, signal: AbortSignal): Promise<Image> {
    return call(() => build(this.#docker, this.options, request, signal), signal)
  }

  findImage(reference: string): Promise<Image | null> {
    return call(() => findImage(this.#docker, reference))
  }

  async removeImage(reference: string): Promise<void> {
    await call(() => gone(this.#docker.getImage(reference).remove({ force: true })))
  }

  startContainer(request: ContainerRequest, signal: AbortSignal): Promise<void> {
    return call(async () => {
      this.#networkReady ??= createNetwork(this.#docker)
      await this.#networkReady.catch((error: unknown) => {
        this.#networkReady = null // the next deployment tries again
        throw error
      })
      await startContainer(this.#docker, request, signal)
    }, signal)
  }

  async findContainer(name: string): Promise<ContainerState | null> {
    const found = await call(() => gone(this.#docker.getContainer(name).inspect()))
    if (!found) return null
    return {
      running: found.State.Running,
      exitCode: found.State.ExitCode,
      outOfMemory: found.State.OOMKilled,
      restarts: found.RestartCount,
      address: addressIn(found.NetworkSettings),
    }
  }

  async keepRunning(name: string): Promise<void> {
    await call(() => this.#docker.getContainer(name).update({ RestartPolicy: { Name: 'unless-stopped' } }))
  }

  lastLines(name: string, count: number): Promise<string[]> {
    return call(() => lastLines(this.#docker, name, count))
  }

  async removeContainer(name: string, graceSeconds: number): Promise<void> {
    const container = this.#docker.getContainer(name)
    await call(async () => {
      await gone(container.update({ RestartPolicy: { Name: 'no' } }))
      await gone(container.stop({ t: graceSeconds }))
      await gone(container.remove({ force: true, v: true }))
    })
  }

  async listContainers(label: string): Promise<ContainerSummary[]> {
    const found = await call(() => this.#docker.listContainers({ all: true, filters: { label: [label] } }))
    return found.map((container) => ({
      name: (container.Names[0] ?? '').replace(/^\//, ''),
      labels: container.Labels,
      running: container.State === 'running',
      address: addressIn(container.NetworkSettings),
    }))
  }

  async listImages(label: string): Promise<string[]> {
    const found = await call(() => this.#docker.listImages({ filters: { label: [label] } }))
    return found.flatMap((image) => image.RepoTags ?? [])
  }

  async pruneBuildCache(keepBytes: number): Promise<void> {
    // Not pruneBuilder(): it drops its options, and without a bound the engine frees the whole cache.
    await call(() => dial(this.#docker, '/build/prune?', { 'keep-storage': keepBytes }))
  }
}

function addressIn({ Networks }: { Networks: Record<string, { IPAddress: string }> }): string | null {
  return Networks[NETWORK]?.IPAddress || null
}

function connect(dockerHost: string): Docker {
  // No `version`: unversioned paths let every engine from 20.10 on answer with its newest API.
  if (dockerHost.startsWith('unix://')) return new Docker({ socketPath: dockerHost.slice('unix://'.length) })
  const url = new URL(dockerHost.replace(/^tcp:/, 'http:'))
  const protocol = url.protocol === 'https:' ? 'https' : 'http'
  return new Docker({ host: url.hostname, port: Number(url.port) || 2375, protocol })
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

async function createNetwork(docker: Docker): Promise<void> {
  const found = await docker.listNetworks({ filters: { name: [NETWORK] } })
  if (found.some((network) => network.Name === NETWORK)) return
  try {
    await docker.createNetwork({ Name: NETWORK, Driver: 'bridge', CheckDuplicate: true })
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 409) throw error // another worker made it
  }
}

async function build(
  docker: Docker,
  options: DockerodeOptions,
  request: BuildRequest,
  signal: AbortSignal,
): Promise<Image> {
  const silence = new AbortController()
  const either = AbortSignal.any([signal, silence.signal])
  const watchdog = setTimeout(() => silence.abort(), options.buildSilenceMs)
  const contextFailed = new Promise<never>((_resolve, reject) => request.context.once('error', reject))
  contextFailed.catch(() => undefined)
  try {
    const started = docker.buildImage(request.context, {
      dockerfile: request.dockerfile,
      t: request.tag,
      labels: { ...request.labels },
      nocache: request.noCache,
      rm: true,
      forcerm: true,
      abortSignal: either,
      ...(await chooseBuilder(docker, options.builder)),
    })
    const stream = await Promise.race([started, contextFailed])
    stream.on('data', () => watchdog.refresh())
    // Not raced with the context: the engine's own words about a broken context come through the stream.
    const id = await followBuild(stream as unknown as AsyncIterable<Buffer>, request.output)
    const image = await findImage(docker, request.tag)
    if (image) return image
    throw new DeployError('BUILD_FAILED', `the image ${id} was built but is not there: deploy again`)
  } catch (error) {
    if (silence.signal.aborted && !signal.aborted) {
      const message = `the build wrote nothing for ${options.buildSilenceMs / 1000} s (BUILD_SILENCE_TIMEOUT)`
      throw new DeployError('BUILD_STALLED', message)
    }
    throw refused(error, signal)
  } finally {
    clearTimeout(watchdog)
    request.context.destroy()
  }
}

/** The engine refuses a build it cannot start (a Dockerfile that does not parse) before any stream. */
function refused(error: unknown, signal: AbortSignal): unknown {
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (signal.aborted || error instanceof DeployError || statusCode === undefined) return error
  return new DeployError('BUILD_FAILED', `the Docker engine refused the build: ${message}`, { cause: error })
}

async function chooseBuilder(docker: Docker, choice: BuilderChoice): Promise<{ version?: '2' }> {
  if (choice === 'classic') return {}
  if (choice === 'buildkit') return { version: '2' }
  const { ApiVersion, Os } = await docker.version()
  const [major = 0, minor = 0] = ApiVersion.split('.').map(Number)
  return Os === 'linux' && (major > 1 || minor >= 39) ? { version: '2' } : {}
}

async function findImage(docker: Docker, reference: string): Promise<Image | null> {
  const found = await gone(docker.getImage(reference).inspect())
  if (!found) return null
  const ports = Object.keys(found.Config.ExposedPorts ?? {})
    .filter((port) => port.endsWith('/tcp'))
    .map((port) => Number.parseInt(port, 10))
  return { id: found.Id, labels: found.Config.Labels ?? {}, exposedPorts: ports.sort((a, b) => a - b) }
}

async function startContainer(docker: Docker, request: ContainerRequest, signal: AbortSignal): Promise<void> {
  const left = docker.getContainer(request.name)
  if (await gone(left.inspect())) await gone(left.remove({ force: true, v: true }))
  signal.throwIfAborted()
  const container = await docker.createContainer(containerOptions(request, NETWORK))
  try {
    await container.start()
  } catch (error) {
    await gone(container.remove({ force: true, v: true }))
    const { statusCode, message } = error as { statusCode?: number; message?: string }
    if (statusCode === undefined) throw error
    throw new DeployError('START_FAILED', `the container could not be started: ${message}`, { cause: error })
  }
}

/** Without a terminal the engine frames each piece: one byte stream, three zero bytes, four bytes length. */
async function lastLines(docker: Docker, name: string, count: number): Promise<string[]> {
  const framed = await gone(docker.getContainer(name).logs({ stdout: true, stderr: true, tail: count }))
  if (!framed) return []
  const pieces: Buffer[] = []
  for (let at = 0; at + 8 <= framed.length;) {
    const end = at + 8 + framed.readUInt32BE(at + 4)
    pieces.push(framed.subarray(at + 8, end))
    at = end
  }
  const lines = Buffer.concat(pieces).toString('utf8').split(/\r?\n/)
  return lines.filter((line) => line !== '').slice(-count)
}
