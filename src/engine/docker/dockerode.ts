import Docker from 'dockerode'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BuilderChoice } from '../../config.js'
import { DeployError, InfrastructureError } from '../errors.js'
import { followBuild } from './build-stream.js'
import { containerOptions } from './container-options.js'
import type { Docker as DockerPort, BuildRequest, ContainerRequest, Image } from './docker.js'

export const NETWORK = 'longshore'
const PING_MS = 3_000
const CALL_MS = 60_000

export interface DockerodeOptions {
  readonly dockerHost: string
  readonly builder: BuilderChoice
  readonly buildSilenceMs: number
}

/** Docker over its HTTP API. The only file that knows dockerode. */
export function createDockerode(options: DockerodeOptions): DockerPort {
  const docker = connect(options.dockerHost)
  let networkReady: Promise<void> | null = null

  const ensureNetwork = () => {
    networkReady ??= createNetwork(docker).catch((error: unknown) => {
      networkReady = null // the next deployment tries again
      throw error
    })
    return networkReady
  }

  return {
    async ping() {
      const version = docker.version()
      return (await bounded(version, PING_MS)).Version
    },

    build: (request, signal) => call(() => build(docker, options, request, signal), signal),

    findImage: (reference) => call(() => findImage(docker, reference)),

    async removeImage(reference) {
      await call(() => gone(docker.getImage(reference).remove({ force: true })))
    },

    startContainer: (request, signal) =>
      call(async () => {
        await ensureNetwork()
        await startContainer(docker, request, signal)
      }, signal),

    findContainer: (name) =>
      call(async () => {
        const found = await gone(docker.getContainer(name).inspect())
        if (!found) return null
        return {
          running: found.State.Running,
          exitCode: found.State.ExitCode,
          outOfMemory: found.State.OOMKilled,
          restarts: found.RestartCount,
          address: found.NetworkSettings.Networks[NETWORK]?.IPAddress || null,
        }
      }),

    async keepRunning(name) {
      await call(() => docker.getContainer(name).update({ RestartPolicy: { Name: 'unless-stopped' } }))
    },

    lastLines: (name, count) => call(() => lastLines(docker, name, count)),

    async removeContainer(name, graceSeconds) {
      await call(async () => {
        const container = docker.getContainer(name)
        await gone(container.update({ RestartPolicy: { Name: 'no' } }))
        await gone(container.stop({ t: graceSeconds }))
        await gone(container.remove({ force: true, v: true }))
      })
    },

    listContainers: (label) =>
      call(async () => {
        const found = await docker.listContainers({ all: true, filters: { label: [label] } })
        return found.map((container) => ({
          name: (container.Names[0] ?? '').replace(/^\//, ''),
          labels: container.Labels,
          running: container.State === 'running',
          address: container.NetworkSettings.Networks[NETWORK]?.IPAddress || null,
        }))
      }),

    listImages: (label) =>
      call(async () => {
        const found = await docker.listImages({ filters: { label: [label] } })
        return found.flatMap((image) => image.RepoTags ?? [])
      }),

    async pruneBuildCache(keepBytes) {
      const prune = docker.pruneBuilder.bind(docker) as unknown as (options: object) => Promise<unknown>
      await call(() => prune({ 'keep-storage': keepBytes }))
    },
  }
}

function connect(dockerHost: string): Docker {
  // No `version`: unversioned paths let every engine from 20.10 on answer with its newest API.
  if (dockerHost.startsWith('unix://')) return new Docker({ socketPath: dockerHost.slice('unix://'.length) })
  const url = new URL(dockerHost.replace(/^tcp:/, 'http:'))
  const protocol = url.protocol === 'https:' ? 'https' : 'http'
  return new Docker({ host: url.hostname, port: Number(url.port) || 2375, protocol })
}

const UNREACHABLE = /ECONNREFUSED|ENOENT|ECONNRESET|EPIPE|ETIMEDOUT|EACCES|socket hang up/

/** Tells an engine that is away from one that refuses; an aborted call rejects with the signal's own reason. */
async function call<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string }
    if (error instanceof DeployError || error instanceof InfrastructureError) throw error
    if (statusCode === undefined && UNREACHABLE.test(`${code} ${message}`)) {
      throw new InfrastructureError('DOCKER_UNREACHABLE', `the Docker engine does not answer: ${message}`, error)
    }
    throw error
  }
}

async function bounded<T>(work: Promise<T>, ms: number): Promise<T> {
  const timer = new AbortController()
  const late = sleep(ms, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new InfrastructureError('DOCKER_UNREACHABLE', `the Docker engine did not answer within ${ms} ms`)
  })
  late.catch(() => undefined)
  work.catch(() => undefined)
  try {
    return await Promise.race([call(() => work), late])
  } finally {
    timer.abort()
  }
}

/** 304 (already so) and 404 (not there) are what was wanted. */
async function gone<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await bounded(work, CALL_MS)
  } catch (error) {
    const status = (error as { statusCode?: number }).statusCode
    if (status === 304 || status === 404) return null
    throw error
  }
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
  for (let at = 0; at + 8 <= framed.length; ) {
    const end = at + 8 + framed.readUInt32BE(at + 4)
    pieces.push(framed.subarray(at + 8, end))
    at = end
  }
  const lines = Buffer.concat(pieces).toString('utf8').split(/\r?\n/)
  return lines.filter((line) => line !== '').slice(-count)
}
